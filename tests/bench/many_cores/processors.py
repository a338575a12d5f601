"""cores: what several processors give to threads that compute, wake late, hand over, or serve."""

from measure import alternate, failed, find_tool, markdown, note, ns, ratio
from many_cores.peers import DEFAULT, NATIVE, ONE, Server, against, median, peers, turns
from wrk import wrk

HOGS = 9
# About 2 ms of computing for each request: the load generator's part is then next to nothing.
HANDLER_ROUNDS = 1_000_000
HANDLER_CONNECTIONS = 16
HANDLER_SECONDS = 2
LARGEST_SHARE_OF_CLIENT = 0.1


def program_table(programs, cores, options):
    processors = len(cores.all)
    rows = []
    for label, metric, name, arguments in (
            (f"{processors} threads that compute, wall (least)", "wall", "cores_bench", ["cpu", str(processors)]),
            ("the same, CPU", "cpu", "", []),
            (f"{4 * processors} threads that compute, wall (least)", "wall", "cores_bench",
             ["cpu", str(4 * processors)]),
            ("the same, CPU", "cpu", "", []),
            (f"1 ms of sleep beside {HOGS} hogs, lateness p50", "p50", "cores_bench", ["hogs", str(HOGS)]),
            ("the same, p99", "p99", "", []),
            ("condition variable, hand-over, 1 pair", "pass", "cores_bench", ["pairs", "1"]),
            ("condition variable, hand-over, 8 pairs", "pass", "cores_bench", ["pairs", "8"]),
            ("mutex, 4 threads, a turn", "mutex_contended_ns", "threads_bench", ["mutex"]),
            ("6 threads that compute stopped for a moment, a stop", "stop", "cores_bench", ["stops", "6"]),
            ("pipeline of 3 threads, an item", "item", "cores_bench", ["pipeline"]),
            ("one thread reads a stream of 200-byte messages, a message", "each", "incoming_bench", ["stream"]),
            ("the same, CPU", "cpu", "", []),
            ("one thread accepts and answers, a connection, CPU", "cpu", "incoming_bench", ["accepts", "own"]),
            ("the same on a socket that another process has too", "cpu", "incoming_bench",
             ["accepts", "inherited"])):
        if name:
            commands = peers(programs, programs.native(name, *arguments))
            values = alternate(label, commands, cores.all, options.rounds)
        native = values.get(NATIVE, {}).get(metric)
        row = [label]
        for peer in (NATIVE, ONE, DEFAULT):
            mine = values.get(peer, {}).get(metric)
            if mine and metric == "wall":
                # Other work on the machine only ever makes it longer, and strikes few kernel threads harder than many.
                mine = [min(map(float, mine))]
            if not mine or not native:
                row.append("–")
            elif peer == NATIVE:
                native = mine
                row.append(ns(mine))
            else:
                row.append(f"{ns(mine)} ({ratio(mine, native)})")
        rows.append(row)
    print(f"\nThreads on {processors} processors, ns (against native)\n")
    print(markdown(["", NATIVE, ONE, DEFAULT], rows))


def most(results):
    return max(result["rate"] for result in results)


def scaling(programs, cores, options):
    """Handlers heavy on CPU: what the second, third… processor adds, native and green."""
    if find_tool("wrk") is None:
        note("cores: no handlers: wrk is not installed (.ci/setup bench).")
        return
    if len(cores.all) < 2:
        note("cores: no scaling of handlers: there is one core only.")
        return
    command = programs.native("http_threads", str(HANDLER_ROUNDS))
    commands = peers(programs, command)
    if DEFAULT not in commands:
        return
    one_core = f"{NATIVE}, 1 core"
    commands[one_core] = ["taskset", "-c", str(min(cores.all)), *command]
    servers = {}
    try:
        for name, command in commands.items():
            servers[name] = Server(command)
        results = turns("handlers heavy on CPU", servers, options.rounds,
                        lambda server: wrk(server, HANDLER_CONNECTIONS, HANDLER_SECONDS, cores.all))
    except RuntimeError as error:
        failed(f"cores: {error}")
        return
    finally:
        for server in servers.values():
            server.stop()
    rows = []
    for name in (one_core, NATIVE, ONE, DEFAULT):
        base = one_core if name in (one_core, NATIVE) else ONE
        if name not in results or base not in results:
            continue
        rows.append([name, f"{median(results[name], 'rate'):,.0f}",
                     f"{against(results[name], results[base], 'rate'):.2f}",
                     f"{most(results[name]) / most(results[base]):.2f}",
                     f"{median(results[name], 'server_busy'):.2f}",
                     f"{median(results[name], 'cpu') / 1000:,.0f} ({against(results[name], results[base], 'cpu'):.2f})",
                     f"{median(results[name], 'p50') / 1000:,.1f} / {median(results[name], 'p99') / 1000:,.1f}"])
        share = median(results[name], "client_busy") / len(cores.all)
        if share > LARGEST_SHARE_OF_CLIENT:
            note(f"handlers, {name}: the load generator took {share:.0%} of the machine.")
    print(f"\nHandlers heavy on CPU, {HANDLER_CONNECTIONS} connections\n")
    print(markdown(["", "requests/s", "against 1", "most against most of 1", "cores used",
                    "CPU µs a request (against 1)", "p50 / p99, ms"], rows))


def run(programs, cores, options):
    program_table(programs, cores, options)
    scaling(programs, cores, options)
