"""civetweb: 100 threads that block in accept's queue and in keep-alive connections; files and CGI (fork, exec)."""

import harness
import http_load

CLIENTS = 100
CGI = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\nConnection: close\\r\\n\\r\\n'
echo "query=$QUERY_STRING"
"""


def run(test):
    served = test.directory / "served"
    http_load.write_files(served)
    script = served / "echo.cgi"
    script.write_text(CGI)
    script.chmod(0o755)
    port = harness.free_port()
    server = test.start(["/usr/bin/civetweb", "-listening_ports", f"127.0.0.1:{port}", "-document_root", served,
                         "-num_threads", CLIENTS + 10, "-enable_keep_alive", "yes", "-keep_alive_timeout_ms", 60000,
                         "-connection_queue", 200])
    test.wait_for_port(server, port)
    http_load.hold(port, CLIENTS, rounds=5, at_peak=lambda: test.check_threads(server.pid, native_at_least=CLIENTS))
    for number in range(30):
        page = test.call(["/usr/bin/curl", "-sS", "--max-time", 20, f"http://127.0.0.1:{port}/echo.cgi?{number}"])
        harness.require(page == f"query={number}\n", page)
    test.stop(server)


harness.main(run)
