"""python_http: CPython's threaded http.server, whose threads share one lock, the GIL."""

import pathlib
import tempfile

from measure import failed, find_tool, markdown, note
from many_cores.peers import DEFAULT, NATIVE, ONE, Server, compared, median, peers, turns
from wrk import wrk

CLIENTS = 100
SECONDS = 5  # of each turn
HELLO = pathlib.Path(__file__).with_name("hello_server.py")


def run(programs, cores, options):
    if find_tool("wrk") is None:
        note("python_http: left out: wrk is not installed (.ci/setup bench).")
        return
    servers = {}
    with tempfile.TemporaryDirectory(prefix="tendril-bench-") as folder:
        pathlib.Path(folder, "index.html").write_text("hello\n")
        try:
            for name, command in peers(programs, ["/usr/bin/python3", "-B", str(HELLO), folder]).items():
                servers[name] = Server(command)
            results = turns("CPython's http.server", servers, options.rounds,
                            lambda server: wrk(server, CLIENTS, SECONDS, cores.all))
        except RuntimeError as error:
            failed(f"python_http: {error}")
            return
        finally:
            for server in servers.values():
                server.stop()
    rows = [[name, compared(results, name, "rate"), compared(results, name, "cpu", 1e-3),
             f"{median(results[name], 'p50') / 1000:,.1f} / {median(results[name], 'p99') / 1000:,.1f}"]
            for name in (NATIVE, ONE, DEFAULT) if name in results]
    print(f"\nCPython's threaded http.server, {CLIENTS} connections (against native)\n")
    print(markdown(["", "requests/s", "CPU µs a request", "p50 / p99, ms"], rows))
