"""HTTP/1.1 clients that stay connected, check every byte and look at the server when all are there."""

import asyncio
import hashlib

from harness import Failure, require

FILES = {f"file-{n}": bytes((n * 31 + i * 7) & 0xFF for i in range(n * n * 37 + 1)) for n in range(40)}


def write_files(directory):
    directory.mkdir()
    directory.chmod(0o755)
    for name, content in FILES.items():
        (directory / name).write_bytes(content)


class Client:
    def __init__(self, number, port):
        self.number = number
        self.port = port

    async def connect(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)

    async def request(self, target):
        """Status and body of one GET."""
        self.writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin1")
        fields = {name.lower(): value for name, value in
                  (line.split(": ", 1) for line in head.split("\r\n")[1:] if line)}
        if fields.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while size := int(await self.reader.readline(), 16):
                body += await self.reader.readexactly(size)
                await self.reader.readline()
            await self.reader.readline()
        elif "content-length" in fields:
            body = await self.reader.readexactly(int(fields["content-length"]))
        else:
            require(fields.get("connection", "").lower() == "close", f"an answer without a length:\n{head}")
            body = await self.reader.read()
        return int(head.split()[1]), body

    async def fetch(self, round_number, prefix="/"):
        name = f"file-{(self.number + round_number) % len(FILES)}"
        status, body = await self.request(prefix + name)
        require(status == 200, f"{name}: status {status}")
        require(body == FILES[name], f"{name}: {len(body)} bytes, sha1 {hashlib.sha1(body).hexdigest()}")

    async def close(self):
        self.writer.close()
        await self.writer.wait_closed()


async def _hold(port, count, rounds, at_peak, connecting, prefix):
    clients = [Client(number, port) for number in range(count)]
    gate = asyncio.Semaphore(connecting)

    async def arrive(client):
        async with gate:
            await client.connect()
            await client.fetch(0, prefix)

    await asyncio.gather(*map(arrive, clients))
    at_peak()
    for round_number in range(1, rounds):
        await asyncio.gather(*(client.fetch(round_number, prefix) for client in clients))
    at_peak()
    for client in clients:
        status, _ = await client.request("/no-such-file")
        require(status == 404, f"a file that is not there: status {status}")
    for client in clients:
        await client.close()


def hold(port, count, rounds, at_peak, connecting=32, prefix="/"):
    """`count` clients connect, each fetches `rounds` files over its connection; at_peak() while all are there."""
    try:
        asyncio.run(_hold(port, count, rounds, at_peak, connecting, prefix))
    except (OSError, asyncio.IncompleteReadError) as error:
        raise Failure(f"a client: {error!r}") from error


async def _one_shot(port, count, at_once, requests):
    gate = asyncio.Semaphore(at_once)

    async def once(number):
        async with gate:
            client = Client(number, port)
            await client.connect()
            target, check = requests(number)
            status, body = await client.request(target)
            require(check(status, body), f"{target}: status {status}, {body[:200]}")
            await client.close()

    await asyncio.gather(*map(once, range(count)))


def one_shot(port, count, at_once, requests):
    """A connection for each request; requests(number) gives a target and a check of (status, body)."""
    try:
        asyncio.run(_one_shot(port, count, at_once, requests))
    except (OSError, asyncio.IncompleteReadError) as error:
        raise Failure(f"a client: {error!r}") from error
