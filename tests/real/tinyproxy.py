"""tinyproxy, a thread per connection, in front of a slow native server: plain requests and CONNECT."""

import asyncio
import threading

import harness

CLIENTS = 120
CONFIGURATION = """
Port {port}
Listen 127.0.0.1
Timeout 60
MaxClients 200
Allow 127.0.0.1
PidFile "{directory}/tinyproxy.pid"
LogFile "{directory}/tinyproxy.log"
LogLevel Error
ConnectPort {upstream}
"""


class Upstream:
    """Answers GET /N with N lines, once `gate` is open."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.gate = asyncio.Event()
        self.held = 0
        listening = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=512))
        self.port = listening.sockets[0].getsockname()[1]
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    async def serve(self, reader, writer):
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.held += 1
            await self.gate.wait()
            body = page(int(request.split()[1].rsplit("/", 1)[1]))
            writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


def page(number):
    return b"".join(b"line %d of %d\n" % (line, number) for line in range(number * 20))


async def fetch(port, upstream, number, tunnel):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    target = f"127.0.0.1:{upstream}"
    if tunnel:
        writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        harness.require(b" 200 " in answer.splitlines()[0], f"CONNECT: {answer}")
        writer.write(f"GET /{number} HTTP/1.0\r\nHost: {target}\r\n\r\n".encode())
    else:
        writer.write(f"GET http://{target}/{number} HTTP/1.0\r\nHost: {target}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    harness.require(b" 200 " in head.splitlines()[0], f"{number}: {head}")
    body = await reader.read()
    harness.require(body == page(number), f"{number}: {len(body)} bytes, expected {len(page(number))}")
    writer.close()


async def fetch_all(test, server, port, upstream):
    tasks = [asyncio.create_task(fetch(port, upstream.port, number, number % 2 == 0)) for number in range(CLIENTS)]
    while upstream.held < CLIENTS:
        failed = [task.exception() for task in tasks if task.done()]
        harness.require(not failed, f"ended early: {failed}")
        await asyncio.sleep(0.01)
    test.check_threads(server.pid, native_at_least=CLIENTS)
    upstream.loop.call_soon_threadsafe(upstream.gate.set)
    await asyncio.gather(*tasks)
    for _ in range(4):
        await asyncio.gather(*(fetch(port, upstream.port, number, number % 2 == 0) for number in range(CLIENTS)))


def run(test):
    upstream = Upstream()
    port = harness.free_port()
    configuration = test.directory / "tinyproxy.conf"
    configuration.write_text(CONFIGURATION.format(port=port, directory=test.directory, upstream=upstream.port))
    server = test.start(["/usr/bin/tinyproxy", "-d", "-c", configuration])
    test.wait_for_port(server, port)
    asyncio.run(fetch_all(test, server, port, upstream))
    test.stop(server)


harness.main(run)
