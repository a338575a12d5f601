"""ThreadPoolExecutor(500) fetching from a slow server: as many requests at once as threads, in one process."""

import asyncio
import json
import pathlib
import threading

import harness

THREADS = 500
ROUNDS = 2
DELAY = 0.5  # seconds for each request
SUBJECT = pathlib.Path(__file__).parent / "subjects" / "fetch_all.py"


class SlowServer:
    """Answers /N with N * N after DELAY; holds the first THREADS requests until `release` is set."""

    def __init__(self):
        self.in_flight = 0
        self.peak = 0
        self.all_here = threading.Event()
        self.loop = asyncio.new_event_loop()
        self.release = asyncio.Event()
        listening = self.loop.run_until_complete(
            asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=1024))
        self.port = listening.sockets[0].getsockname()[1]
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    async def serve(self, reader, writer):
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            number = int(request.split()[1][1:])
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
            if self.in_flight == THREADS:
                self.all_here.set()
            await self.release.wait()
            await asyncio.sleep(DELAY)
            body = str(number * number).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            self.in_flight -= 1
            await writer.drain()
        finally:
            writer.close()


def run(test):
    slow = SlowServer()
    client = test.start(["/usr/bin/python3", SUBJECT, f"http://127.0.0.1:{slow.port}", THREADS, ROUNDS])
    harness.wait_until(lambda: slow.all_here.is_set() or not client.alive(), f"{THREADS} requests at once")
    harness.require(slow.all_here.is_set(), f"the client ended with {slow.peak} requests at once")
    test.check_threads(client.pid, native_at_least=THREADS)
    slow.loop.call_soon_threadsafe(slow.release.set)
    harness.require(client.wait(100) == 0, f"status {client.process.returncode}")
    result = json.loads(client.output())
    total = THREADS * (ROUNDS + 1)
    harness.require(result["answers"] == {str(n): n * n for n in range(total)}, "wrong or missing answers")
    one_by_one = THREADS * ROUNDS * DELAY
    print(f"{THREADS * ROUNDS} requests of {DELAY} s: {result['elapsed']:.2f} s")
    harness.require(result["elapsed"] < one_by_one / 20,
                    f"{result['elapsed']:.1f} s, one by one it would be {one_by_one:.0f} s")


harness.main(run)
