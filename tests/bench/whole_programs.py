"""What whole programs pay that gain nothing: Debian's own, started and run to their end, native and green in turns."""

import pathlib
import resource
import shutil
import statistics
import subprocess
import tempfile
import time

from measure import ROOT, Cores, failed, markdown, note

STARTS = 20  # of each program in a round

PARSE = ("import ast, glob\n"
         "for name in sorted(glob.glob('/usr/lib/python3.11/[a-h]*.py')):\n"
         "    ast.parse(open(name, encoding='utf-8').read())\n")


def run(command, processors, times=1):
    """Wall time and CPU time of all its processes, in milliseconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    for _ in range(times):
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True,
                       preexec_fn=Cores.pin(processors))
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall * 1e3 / times, cpu * 1e3 / times


def in_turns(programs, cores, options, command, times=1):
    """[(native, green) of each round], each of them (wall, cpu); whoever goes first changes."""
    green = programs.under_tendril(command)
    pairs = []
    for number in range(options.rounds):
        commands = [command, green] if number % 2 == 0 else [green, command]
        results = [run(c, cores.server, times) for c in commands]
        pairs.append(tuple(results if number % 2 == 0 else reversed(results)))
    return pairs


def row(label, pairs, compare, text):
    """Wall and CPU: native's median, and that of what `compare` makes of native and green."""
    cells = [label]
    for measure in (0, 1):
        native = statistics.median(n[measure] for n, _ in pairs)
        compared = statistics.median(compare(n[measure], g[measure]) for n, g in pairs)
        cells.append(text.format(native, compared))
    return cells


def missing(programs, command):
    return command is None or shutil.which(command[0]) is None or not programs.tendril.exists()


def start(programs, cores, options):
    commands = [("true: no threads", ["/bin/true"]),
                ("bash -c true: no threads", ["/bin/bash", "-c", "true"]),
                ("python3 -c 0: no threads", ["/usr/bin/python3", "-c", "0"]),
                ("one short thread", programs.native("threads_bench", "once"))]
    rows = []
    for label, command in commands:
        if missing(programs, command):
            note(f"start: no {label}: not installed or not built.")
            continue
        print(f"  start, {label}…", flush=True)
        pairs = in_turns(programs, cores, options, command, STARTS)
        rows.append(row(label, pairs, lambda n, g: g - n, "{:.2f} + {:.2f}"))
    print("\nA start: native + more under tendril, ms\n")
    print(markdown(["", "wall", "CPU"], rows))


def whole(programs, cores, options):
    start(programs, cores, options)
    with tempfile.TemporaryDirectory(prefix="tendril-bench-") as folder:
        source = ROOT / "tests" / "bench" / "calls_bench.c"
        commands = [("grep -rc the /usr/include", ["grep", "-rc", "the", "/usr/include"]),
                    ("python3, parsing its library", ["/usr/bin/python3", "-c", PARSE]),
                    ("gcc -O2 -c, 3 processes", ["gcc", "-O2", "-c", str(source), "-o",
                                                 str(pathlib.Path(folder) / "object.o")]),
                    ("git log --stat", ["git", "-C", str(ROOT), "log", "--stat", "-n", "100"]),
                    ("git status", ["git", "-C", str(ROOT), "status"])]
        rows = []
        for label, command in commands:
            if missing(programs, command):
                note(f"programs: no {label}: not installed.")
                continue
            print(f"  programs, {label}…", flush=True)
            try:
                run(command, cores.server)  # caches
                pairs = in_turns(programs, cores, options, command, times=3)
            except subprocess.CalledProcessError as error:
                failed(f"programs, {label}: status {error.returncode}")
                continue
            rows.append(row(label, pairs, lambda n, g: g / n, "{:,.1f} ({:.3f})"))
    print("\nPrograms run to their end: native ms (green against native, starts included)\n")
    print(markdown(["", "wall", "CPU"], rows))


BENCHMARKS = {"programs": whole}
