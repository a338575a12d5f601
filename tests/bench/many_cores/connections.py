"""connections: a thread for each of many keep-alive connections, HTTP, load by epoll (wrk)."""

from measure import failed, find_tool, markdown, note, raise_descriptor_limit
from many_cores.peers import DEFAULT, NATIVE, ONE, Server, compared, median, peers, turns
from wrk import wrk

CONNECTIONS = (100, 1000, 10000)
SECONDS = 5  # of each turn, the making of the connections included


def run(programs, cores, options):
    command = programs.native("http_threads")
    if command is None or find_tool("wrk") is None:
        note("connections: left out: needs http_threads (the target `bench`) and wrk (.ci/setup bench).")
        return
    columns = {}
    for count in CONNECTIONS:
        limit = raise_descriptor_limit(count + 64)
        if limit < count + 64:
            note(f"connections: {count:,} left out: `ulimit -n` is {limit}.")
            continue
        servers = {}
        try:
            # New servers for each count: what the one before left behind is not measured.
            for name, peer in peers(programs, command).items():
                servers[name] = Server(peer)
            columns[count] = turns(f"{count:,} connections", servers, options.rounds,
                                   lambda server, count=count: wrk(server, count, SECONDS, cores.all))
        except RuntimeError as error:
            failed(f"connections: {error}")
        finally:
            for server in servers.values():
                server.stop()

    def table(title, cell):
        print(f"\n{title}\n")
        print(markdown(["connections"] + [f"{count:,}" for count in columns],
                       [[name] + [cell(results, name) for results in columns.values()]
                        for name in (NATIVE, ONE, DEFAULT)]))

    if columns:
        table("HTTP, a thread for each connection: requests/s (against native)",
              lambda results, name: compared(results, name, "rate"))
        table("The same: server CPU µs a request (against native)",
              lambda results, name: compared(results, name, "cpu", 1e-3, 1))
        table("The same: cores used by the server / by the load generator",
              lambda results, name: f"{median(results[name], 'server_busy'):.2f} / "
                                    f"{median(results[name], 'client_busy'):.2f}" if results.get(name) else "–")
        table("The same: latency p50 / p99, ms",
              lambda results, name: f"{median(results[name], 'p50') / 1000:,.1f} / "
                                    f"{median(results[name], 'p99') / 1000:,.1f}" if results.get(name) else "–")
