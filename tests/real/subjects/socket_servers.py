"""A socketserver of the kind named by the argument: one line of numbers in, pid, thread and their sum out."""

import os
import signal
import socketserver
import sys
import threading
import time


alarms = 0


def on_alarm(*_):
    global alarms
    alarms += 1


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        if sys.argv[1] == "forking":
            # The child takes signals of its own before it has threads, and while it has.
            signal.signal(signal.SIGALRM, on_alarm)
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.005)
            while alarms == 0:
                signal.pause()
        self.answer()
        signal.setitimer(signal.ITIMER_REAL, 0)

    def answer(self):
        for line in self.rfile:
            numbers = [int(word) for word in line.split()]
            parts = [0] * 4

            def add(part):
                time.sleep(0.001)
                parts[part] = sum(numbers[part::4])

            # A handler that has threads of its own: of a forked child, too.
            threads = [threading.Thread(target=add, args=(part,)) for part in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            reply = f"{os.getpid()} {threading.get_native_id()} {sum(parts)}\n"
            self.wfile.write(reply.encode())


class Forking(socketserver.ForkingTCPServer):
    request_queue_size = 128


class Threading(socketserver.ThreadingTCPServer):
    request_queue_size = 128
    daemon_threads = False


ticks = 0
stopping = threading.Event()


def tick():
    """The server forks while other threads of it run, wait and hold locks."""
    global ticks
    while not stopping.wait(0.002):
        ticks += len(str(list(range(100))))


tickers = [threading.Thread(target=tick) for _ in range(20)]
for thread in tickers:
    thread.start()

with {"forking": Forking, "threading": Threading}[sys.argv[1]](("127.0.0.1", 0), Handler) as server:
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print("port", server.server_address[1], flush=True)
    server.serve_forever(poll_interval=0.05)
stopping.set()
for thread in tickers:
    thread.join()
print("stopped", ticks > 0)
