"""What all benchmarks share: programs and processors, turns of peers, notes, tables."""

import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]

notes = []  # what the reader has to know besides the tables
failures = []


def note(text):
    if text not in notes:
        notes.append(text)


def failed(text):
    failures.append(text)
    print(f"    failed: {text}", flush=True)


class Programs:
    """The commands of the peers, as far as they are built."""

    def __init__(self, build):
        self.bench = build / "bench"
        self.tendril = build / "bin" / "tendril"

    def native(self, name, *arguments):
        program = self.bench / name
        return [str(program), *arguments] if os.access(program, os.X_OK) else None

    def with_variable(self, assignment, name, *arguments):
        command = self.native(name, *arguments)
        # env becomes the program: its process id stays.
        return command and ["/usr/bin/env", assignment, *command]

    def green(self, name, *arguments):
        command = self.native(name, *arguments)
        return command and self.under_tendril(command, workers=1)

    def under_tendril(self, command, workers=None):
        """The same with so many workers, or as many as there are by default."""
        if not os.access(self.tendril, os.X_OK):
            return None
        return [str(self.tendril), *(["--workers", str(workers)] if workers else []), "--", *command]


class Cores:
    def __init__(self):
        allowed = sorted(os.sched_getaffinity(0))
        self.all = set(allowed)
        self.server = {allowed[0]}
        self.client = {allowed[-1]}
        if len(allowed) == 1:
            note("Server and client share the only core: read the CPU columns only.")

    @staticmethod
    def pin(processors):
        return lambda: os.sched_setaffinity(0, processors)


def raise_descriptor_limit(wanted):
    """Returns how many descriptors a process may open after trying for `wanted`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
        except (ValueError, OSError):
            pass
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return wanted if hard == resource.RLIM_INFINITY else hard


def markdown(header, rows):
    table = [header] + [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]

    def line(row):
        cells = [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
        return "| " + " | ".join(cells) + " |"

    rule = "|" + "|".join(
        "-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    return "\n".join([line(table[0]), rule] + [line(row) for row in table[1:]])


def run_once(command, processors):
    """The `metric=value` lines of one run; {} when it failed."""
    try:
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                preexec_fn=Cores.pin(processors), timeout=120, check=False)
    except subprocess.TimeoutExpired:
        failed(f"{' '.join(command)}: no end after 120 s")
        return {}
    if result.returncode != 0:
        failed(f"{' '.join(command)}: status {result.returncode}: {result.stderr.strip()[-200:]}")
        return {}
    return dict(line.split("=", 1) for line in result.stdout.splitlines() if "=" in line)


def alternate(name, commands, processors, rounds):
    """{peer: {metric: [a value of each round]}} of {peer: command}."""
    print(f"  {name}…", flush=True)
    commands = {peer: command for peer, command in commands.items() if command is not None}
    values = {peer: {} for peer in commands}
    for _ in range(rounds):
        for peer, command in list(commands.items()):
            metrics = run_once(command, processors)
            if not metrics:
                del commands[peer]  # reported once, not in every round
            for metric, value in metrics.items():
                values[peer].setdefault(metric, []).append(value)
    return values


def ns(values):
    value = statistics.median(map(float, values))
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def ratio(values, baseline):
    ratios = [float(a) / float(b) for a, b in zip(values, baseline)]
    value = statistics.median(ratios)
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def cpu_ns(pid):
    """CPU time of a process so far: the clock of clock_getcpuclockid(3)."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def find_tool(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
