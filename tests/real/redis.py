"""redis-server with four I/O threads: native clients check the data, save it and find it after a restart."""

import asyncio

import harness

# The four threads spin while there is load: little of it is much on two processors.
CLIENTS = 30
KEYS = 100


class Client:
    def __init__(self, number, reader, writer):
        self.number = number
        self.reader = reader
        self.writer = writer

    async def reply(self):
        line = (await self.reader.readline()).rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            return None if rest == b"-1" else (await self.reader.readexactly(int(rest) + 2))[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [await self.reply() for _ in range(int(rest))]
        harness.require(kind != b"-", f"error reply {line}")
        return int(rest) if kind == b":" else rest

    async def pipeline(self, commands):
        for words in commands:
            encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
            self.writer.write(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in encoded))
        return [await self.reply() for _ in commands]

    async def ask(self, *words):
        return (await self.pipeline([words]))[0]

    def value(self, n):
        return bytes((self.number * 3 + n + i) & 0xFF for i in range((self.number * 37 + n * 101) % 5000))

    async def fill(self):
        keys = range(KEYS)
        answers = await self.pipeline([("SET", f"k:{self.number}:{n}", self.value(n)) for n in keys])
        harness.require(set(answers) == {b"OK"}, f"SET: {set(answers)}")
        await self.pipeline([("INCR", "counter") for _ in keys])

    async def check(self):
        answers = await self.pipeline([("GET", f"k:{self.number}:{n}") for n in range(KEYS)])
        harness.require(answers == [self.value(n) for n in range(KEYS)], f"client {self.number}: other values")


async def connect(port, count):
    return [Client(n, *await asyncio.open_connection("127.0.0.1", port)) for n in range(count)]


async def load(test, server, port):
    clients = await connect(port, CLIENTS)
    for _ in range(2):
        await asyncio.gather(*(client.fill() for client in clients))
        await asyncio.gather(*(client.check() for client in clients))
    test.check_threads(server.pid, native_at_least=7)  # main, 3 I/O threads, 3 background threads
    counted = int(await clients[0].ask("GET", "counter"))
    harness.require(counted == CLIENTS * KEYS * 2, f"counter: {counted}")
    # Blocked clients are woken in order, and time out.
    waiting = [asyncio.create_task(client.ask("BLPOP", "list", 30)) for client in clients[1:21]]
    while int((await clients[0].ask("INFO", "clients")).split(b"blocked_clients:")[1].split()[0]) < 20:
        await asyncio.sleep(0.01)
    await clients[0].ask("RPUSH", "list", *range(20))
    popped = await asyncio.gather(*waiting)
    harness.require(sorted(int(value) for _, value in popped) == list(range(20)), f"BLPOP: {popped}")
    harness.require(await clients[0].ask("BLPOP", "list", 0.1) is None, "BLPOP of an empty list")
    # A forked child writes the data set while the threads run; lazy freeing is a background thread's.
    harness.require(await clients[0].ask("BGSAVE") == b"Background saving started", "BGSAVE")
    await asyncio.gather(*(client.check() for client in clients))
    while b"rdb_bgsave_in_progress:0" not in (info := await clients[0].ask("INFO", "persistence")):
        await asyncio.sleep(0.01)
    harness.require(b"rdb_last_bgsave_status:ok" in info, "BGSAVE failed")
    harness.require(await clients[0].ask("UNLINK", *(f"k:0:{n}" for n in range(KEYS))) == KEYS, "UNLINK")
    for client in clients:
        client.writer.close()


async def check_reloaded(port):
    clients = await connect(port, CLIENTS)
    await asyncio.gather(*(client.check() for client in clients[1:]))
    harness.require(await clients[0].ask("DBSIZE") == (CLIENTS - 1) * KEYS + 1, "number of keys")
    for client in clients:
        client.writer.close()


def start(test, port, under_test):
    server = test.start(["/usr/bin/redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", test.directory,
                         "--io-threads", 4, "--io-threads-do-reads", "yes", "--save", "3600 1", "--appendonly", "no"],
                        under_test=under_test)
    test.wait_for_text(server, "Ready to accept connections")
    return server


def run(test):
    port = harness.free_port()
    server = start(test, port, under_test=True)
    asyncio.run(load(test, server, port))
    test.call(["/usr/bin/redis-benchmark", "-p", port, "-c", 50, "-n", 4000, "-P", 16, "-q", "-t", "ping,set,get,lpush"])
    test.call(["/usr/bin/redis-cli", "-p", port, "DEL", "mylist", "key:__rand_int__"])
    test.stop(server)  # SIGTERM saves before it ends.

    again = start(test, port, under_test=False)
    asyncio.run(check_reloaded(port))
    test.stop(again)


harness.main(run)
