"""memcached -t 4: four libevent threads and their helpers; values set, read back, counted and deleted."""

import asyncio

import harness

CLIENTS = 100
KEYS = 15


class Client:
    def __init__(self, number, reader, writer):
        self.number = number
        self.reader = reader
        self.writer = writer

    async def ask(self, request, lines=1):
        self.writer.write(request)
        return [(await self.reader.readline()).rstrip(b"\r\n") for _ in range(lines)]

    def key(self, n):
        return b"key-%d-%d" % (self.number, n)

    def value(self, n):
        return bytes(65 + (self.number + n + i) % 26 for i in range((self.number * 131 + n * 977) % 20000))

    async def fill(self):
        for n in range(KEYS):
            value = self.value(n)
            answer = await self.ask(b"set %s %d 0 %d\r\n%s\r\n" % (self.key(n), n, len(value), value))
            harness.require(answer == [b"STORED"], f"set: {answer}")

    async def check(self):
        for n in range(KEYS):
            value = self.value(n)
            answer = await self.ask(b"get %s\r\n" % self.key(n), lines=3)
            expected = [b"VALUE %s %d %d" % (self.key(n), n, len(value)), value, b"END"]
            harness.require(answer == expected, f"get: {answer[0][:80]}, expected {expected[0]}")

    async def count(self, times):
        for _ in range(times):
            answer = await self.ask(b"incr shared 1\r\n")
            harness.require(answer[0].isdigit(), f"incr: {answer}")

    async def delete(self):
        for n in range(KEYS):
            harness.require(await self.ask(b"delete %s\r\n" % self.key(n)) == [b"DELETED"], "delete")
            harness.require(await self.ask(b"get %s\r\n" % self.key(n)) == [b"END"], "get after delete")


async def load(test, server, port):
    clients = [Client(n, *await asyncio.open_connection("127.0.0.1", port)) for n in range(CLIENTS)]
    harness.require(await clients[0].ask(b"set shared 0 0 1\r\n0\r\n") == [b"STORED"], "set shared")
    await asyncio.gather(*(client.fill() for client in clients))
    test.check_threads(server.pid, native_at_least=5)
    await asyncio.gather(*(client.check() for client in clients))
    await asyncio.gather(*(client.count(20) for client in clients))
    shared = await clients[0].ask(b"get shared\r\n", lines=3)
    harness.require(shared[1] == b"%d" % (CLIENTS * 20), f"shared: {shared}")
    await asyncio.gather(*(client.delete() for client in clients))
    for client in clients:
        client.writer.close()


def run(test):
    port = harness.free_port()
    server = test.start(["/usr/bin/memcached", "-t", 4, "-l", "127.0.0.1", "-p", port, "-U", 0, "-m", 256, "-c", 1024,
                         "-u", "nobody"])
    test.wait_for_port(server, port)
    asyncio.run(load(test, server, port))
    test.stop(server)


harness.main(run)
