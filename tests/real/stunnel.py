"""stunnel, a thread per TLS connection, in front of a native echo server."""

import asyncio
import signal
import ssl
import threading

import harness

CLIENTS = 100
ROUNDS = 20
CONFIGURATION = """
foreground = yes
pid =
debug = warning
[echo]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{upstream}
cert = {directory}/cert.pem
key = {directory}/key.pem
"""


def start_echo():
    """A native echo server on a thread of the driver; returns its port."""

    async def echo(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(echo, "127.0.0.1", 0, backlog=256))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return server.sockets[0].getsockname()[1]


def message(client, round_number):
    return bytes((client * 7 + round_number * 13 + i) & 0xFF for i in range(1 + (client * 997 + round_number * 4999) % 40000))


async def talk(number, reader, writer, rounds):
    for round_number in rounds:
        sent = message(number, round_number)
        writer.write(sent)
        received = await reader.readexactly(len(sent))
        harness.require(received == sent, f"client {number}, round {round_number}: other bytes came back")


async def load(test, server, port):
    context = ssl.create_default_context(cafile=test.directory / "cert.pem")
    context.check_hostname = False
    gate = asyncio.Semaphore(16)

    async def connect():
        async with gate:
            return await asyncio.open_connection("127.0.0.1", port, ssl=context)

    connections = await asyncio.gather(*(connect() for _ in range(CLIENTS)))
    await asyncio.gather(*(talk(n, *connections[n], range(1)) for n in range(CLIENTS)))
    test.check_threads(server.pid, native_at_least=CLIENTS)
    await asyncio.gather(*(talk(n, *connections[n], range(1, ROUNDS)) for n in range(CLIENTS)))
    test.check_threads(server.pid, native_at_least=CLIENTS)
    for _, writer in connections:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for _, writer in connections))


def run(test):
    test.call(["/usr/bin/openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj", "/CN=localhost",
               "-keyout", test.directory / "key.pem", "-out", test.directory / "cert.pem"])
    port = harness.free_port()
    configuration = test.directory / "stunnel.conf"
    configuration.write_text(CONFIGURATION.format(port=port, upstream=start_echo(), directory=test.directory))
    server = test.start(["/usr/bin/stunnel", configuration])
    test.wait_for_port(server, port)
    asyncio.run(load(test, server, port))
    # Not by SIGTERM: its exit takes OpenSSL from under threads that close their connections, natively too, and
    # on a busy machine they die of SIGSEGV.
    test.stop(server, signal.SIGKILL, -signal.SIGKILL)


harness.main(run)
