"""python3 -m http.server (ThreadingHTTPServer) under 500 keep-alive clients, each with a thread of its own."""

import signal

import harness
import http_load

CLIENTS = 500


def run(test):
    served = test.directory / "served"
    http_load.write_files(served)
    port = harness.free_port()
    server = test.start(["/usr/bin/python3", "-m", "http.server", "--protocol", "HTTP/1.1", "--bind", "127.0.0.1",
                         "--directory", served, port])
    test.wait_for_port(server, port)
    # Its backlog is 5: more connecting at once are dropped and retried a second later, natively too.
    http_load.hold(port, CLIENTS, rounds=4, connecting=4,
                   at_peak=lambda: test.check_threads(server.pid, native_at_least=CLIENTS))
    # Every thread of a connection has ended: http.server would start new ones for new clients only.
    harness.wait_until(lambda: harness.kernel_threads(server.pid) <= harness.SPARE_THREADS + test.workers,
                       "threads of closed connections end")
    harness.require("Traceback" not in server.output(), "the server reported an exception")
    test.stop(server, signal.SIGINT)  # KeyboardInterrupt: "exiting", status 0


harness.main(run)
