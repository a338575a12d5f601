"""socketserver with ForkingMixIn (a process per connection, forked while threads run) and ThreadingMixIn."""

import asyncio
import pathlib

import harness

CLIENTS = {"forking": 30, "threading": 300}
WAVES = 8
LINES = 5
SUBJECT = pathlib.Path(__file__).parent / "subjects" / "socket_servers.py"


async def talk(port, number, everyone_here, replies):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for line in range(LINES):
        numbers = [number * 1000 + line * 10 + i for i in range(50)]
        writer.write((" ".join(map(str, numbers)) + "\n").encode())
        pid, thread, total = (int(word) for word in (await reader.readline()).split())
        harness.require(total == sum(numbers), f"client {number}: {total}, expected {sum(numbers)}")
        replies.append((pid, thread, number))
        if line == 0:
            await everyone_here.wait()
    writer.close()
    await writer.wait_closed()


async def wave(test, server, port, kind, replies):
    everyone_here = asyncio.Event()
    clients = CLIENTS[kind]
    seen = len(replies)
    talks = [asyncio.create_task(talk(port, number, everyone_here, replies)) for number in range(clients)]
    while len(replies) < seen + clients:
        harness.require(not any(task.done() for task in talks), f"a connection ended early: {talks}")
        await asyncio.sleep(0.01)
    test.check_threads(server.pid, native_at_least=clients if kind == "threading" else 20)
    if kind == "forking":
        test.check_children(server, at_least=clients)
    everyone_here.set()
    await asyncio.gather(*talks)


def run(test):
    (kind,) = test.arguments
    server = test.start(["/usr/bin/python3", SUBJECT, kind])
    port = int(test.wait_for_text(server, "\n").split()[1])
    replies = []
    for _ in range(WAVES if kind == "forking" else 2):
        wave_replies = []
        asyncio.run(wave(test, server, port, kind, wave_replies))
        handlers = {(pid, thread): number for pid, thread, number in wave_replies}
        harness.require(len(handlers) == CLIENTS[kind], f"{len(handlers)} handlers for {CLIENTS[kind]} clients")
        replies += wave_replies
    pids = {pid for pid, _, _ in replies}
    if kind == "forking":
        harness.require(server.pid not in pids and len(pids) == CLIENTS[kind] * WAVES, f"{len(pids)} children")
    else:
        harness.require(pids == {server.pid}, f"pids {pids}, the server's is {server.pid}")
    test.stop(server)
    harness.require("stopped True" in server.output() and "Traceback" not in server.output(), "an exception")
    harness.require(not harness.descendants(server.pid), "children are left")


harness.main(run)
