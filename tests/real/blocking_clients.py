"""libpq, hiredis and libcurl in fibers: 100 slow calls in one OS thread take about as long as one.

Arguments: postgres, redis or curl, and the folder of the programs. The native one has a std::thread for
each call instead.
"""

import asyncio
import pathlib
import threading

import backends
import harness

DELAY = 0.3


def start_redis(test):
    port = harness.free_port()
    server = test.start(["/usr/bin/redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--hz", 100,
                         "--dir", test.directory], under_test=False)
    test.wait_for_text(server, "Ready to accept connections")
    return str(port), lambda: test.stop(server)


def start_slow_server(_):
    async def serve(reader, writer):
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            await asyncio.sleep(DELAY)
            body = str(int(request.split()[1][1:]) ** 2).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        finally:
            writer.close()

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0, backlog=512))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return f"http://localhost:{server.sockets[0].getsockname()[1]}", lambda: None


def run(test):
    kind, folder = test.arguments
    where, stop = {"postgres": backends.start_postgres, "redis": start_redis, "curl": start_slow_server}[kind](test)
    # The green one links the shim: it needs no tendril command.
    program = pathlib.Path(folder) / ("blocking_clients" if test.green else "blocking_clients_native")
    client = test.start([program, kind, where], under_test=False)
    harness.require(client.wait(60) == 0, f"status {client.process.returncode}")
    print(client.output(), end="")
    stop()


harness.main(run)
