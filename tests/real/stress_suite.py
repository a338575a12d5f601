"""stress-ng, one stressor after another, natively and green: each must end the same.

    stress_suite.py --tendril PATH --preload PATH [--table FILE] fixed|all|STRESSOR...

Each stressor runs for a short time with --verify, by a process that has had a second thread (`--preload`,
subjects/has_had_a_thread.c): green, it has activated, whether the stressor makes threads or not. A difference
fails, unless tests/known_differences.txt lists it with the reason; an entry that makes no difference any more
fails too, and so does a crash or a hang. As root, the stressors run as nobody: many of them try what only root
may do, and what they then do to the machine is not what is tested here.
"""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import harness
import known_differences

STRESS_NG = "/usr/bin/stress-ng"
SECONDS = {"fixed": 1, "all": 2}
HANG_SECONDS = 180  # on a machine with much to do
JOBS = 2

# What is run every time: threads, locks, waits, processes, signals and timers.
FIXED = [
    "pthread", "mutex", "futex", "sem", "poll", "epoll", "sock", "pipe", "fork", "sigq", "timer",
    "sem-sysv", "msg", "mq", "switch", "eventfd", "timerfd", "sigfd", "sigsuspend", "sigsegv", "vfork", "spawn",
    "clone", "sockpair", "splice", "flock", "lockf", "itimer", "nanosleep", "context", "membarrier",
]
# Never run, and why.
NOT_RUN = {
    "bigheap": "takes all memory of the machine",
    "brk": "takes all memory of the machine",
    "oom-pipe": "takes all memory of the machine",
    "stack": "takes all memory of the machine",
    "hrtimers": "takes all signals that a user may have pending, those of the others too",
    "forkheavy": "takes the whole disk of the machine",
    "resources": "takes the whole disk of the machine",
    "swap": "takes all memory of the machine",
    "reboot": "reboots the machine if it can",
    "cpu-online": "takes processors away from the machine if it can",
    "exec": "its children take the file that they execute from each other",
    "ptrace": "its tracer passes no signal on, and SIGSYS is one that green programs need",
    "vm-segv": "its tracer passes no signal on, and SIGSYS is one that green programs need",
    "urandom": "reads a byte beyond its page on purpose, into whatever lies there",
    "mincore": "expects that nobody else maps memory where it has unmapped some, and the runtime may",
    "lockbus": "the Linux kernel slows split locks down, on newer CPUs so much that it does not end in time",
    "opcode": "executes random instructions: no two runs are alike",
}
# Bounds of size and number where stress-ng's own are large.
BOUNDS = {
    "copy-file": ["--copy-file-bytes", "16M"],
    "fallocate": ["--fallocate-bytes", "16M"],
    "hdd": ["--hdd-bytes", "16M"],
    "iomix": ["--iomix-bytes", "16M"],
    "readahead": ["--readahead-bytes", "16M"],
    "revio": ["--revio-bytes", "16M"],
    "sync-file": ["--sync-file-bytes", "16M"],
    "vforkmany": ["--vforkmany-vm-bytes", "64M"],
    "zombie": ["--zombie-max", "200"],
}
ENDINGS = {0: "ok", 1: "error", 2: "failed", 3: "no-resource", 4: "not-implemented", 5: "killed", 7: "bad-metrics"}

Run = collections.namedtuple("Run", "outcome seconds operations output")


class Suite:
    def __init__(self, tendril, preload, directory, seconds):
        self.directory = directory
        self.seconds = seconds
        self.user = "nobody" if os.geteuid() == 0 else None
        # Where whoever runs the stressors can reach them.
        self.tendril = directory / "bin" / tendril.name
        self.preload = directory / preload.name
        self.tendril.parent.mkdir()
        shutil.copy(tendril, self.tendril)
        shutil.copytree(tendril.parent.parent / "lib", directory / "lib", symlinks=True)
        shutil.copy(preload, self.preload)

    def run_both(self, stressor):
        """One after the other: some stressors have ports of their own."""
        return self.run(stressor, green=False), self.run(stressor, green=True)

    def run(self, stressor, green):
        sandbox = pathlib.Path(tempfile.mkdtemp(dir=self.directory, prefix=f"{stressor}-"))
        if self.user:
            shutil.chown(sandbox, self.user)
        words = [STRESS_NG, f"--{stressor}", "2", "--timeout", f"{self.seconds}s", "--verify", "--metrics-brief",
                 "--verbose", "--no-rand-seed", "--oomable", "--temp-path", sandbox, *BOUNDS.get(stressor, [])]
        if green:
            words = [self.tendril, "--", *words]
        begin = time.monotonic()
        with tempfile.TemporaryFile(dir=self.directory) as sink:
            process = subprocess.Popen(
                [str(word) for word in words], stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd=sandbox,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "LD_PRELOAD": str(self.preload)}, user=self.user,
                extra_groups=[] if self.user else None, start_new_session=True, preexec_fn=harness.end_with_parent)
            try:
                status = process.wait(HANG_SECONDS)
                outcome = ENDINGS.get(status, "crash")
            except subprocess.TimeoutExpired:
                outcome = "hang"
            finally:
                seconds = time.monotonic() - begin
                harness.end_family(process.pid)
                process.wait()
            sink.seek(0)
            output = sink.read().decode(errors="replace")
        shutil.rmtree(sandbox, ignore_errors=True)
        if outcome not in ("hang", "crash") and re.search(r"terminated on signal|caught SIG(?!ALRM|INT)", output):
            outcome = "crash"
        elif outcome == "ok" and re.search(r"^stress-ng: fail:", output, re.MULTILINE):
            outcome = "failed"
        operations = re.search(rf"^stress-ng: metrc: \[\d+\] {re.escape(stressor)} +(\d+) ", output, re.MULTILINE)
        if outcome == "ok" and (operations is None or re.search(r"skipping stressor|skipped:", output)):
            outcome = "skipped"
        return Run(outcome, seconds, operations[1] if operations else "-", output)


def all_stressors():
    listed = subprocess.run([STRESS_NG, "--stressors"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [name for name in listed.split() if name not in NOT_RUN]


def tail(run):
    dull = re.compile(r" info: | metrc: | debug: .*(invoked with|system:|RAM total|temporary|processors online"
                      r"|cache allocate|starting|started|exited|metrics-check|shared heap|oom_score|stress-ng \d)")
    lines = [line for line in run.output.splitlines() if not dull.search(line)]
    return "".join(f"      {line}\n" for line in lines[-12:])


def run_all(suite, table, stressors):
    known, rows, bad = known_differences.KnownDifferences("stress"), [], 0
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        runs = {name: pool.submit(suite.run_both, name) for name in stressors}
        for name, both in runs.items():
            native, green = both.result()
            differs = native.outcome != green.outcome and not known.explains(name, native.outcome, green.outcome)
            broken = green.outcome in ("crash", "hang") and native.outcome == green.outcome
            print(f"{name:16} native {native.outcome:15} {native.operations:>9} {native.seconds:5.1f} s | "
                  f"green {green.outcome:15} {green.operations:>9} {green.seconds:5.1f} s")
            if differs or broken:
                print(f"    natively:\n{tail(native)}    green:\n{tail(green)}", end="")
                bad += 1
            rows.append(f"| {name} | {native.outcome} | {green.outcome} | {native.operations} | {green.operations} |\n")
            sys.stdout.flush()
    for entry in known.unused(stressors):
        print(f"  {entry.case}: listed in {known_differences.FILE.name}, but makes no difference")
        bad += 1
    if table:
        table.write_text("| stressor | native | green | operations, native | green |\n|---|---|---|---|---|\n"
                         + "".join(rows))
    print(f"{len(stressors)} stressors, {bad} differences")
    return bad


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tendril", type=pathlib.Path, required=True)
    parser.add_argument("--preload", type=pathlib.Path, required=True)
    parser.add_argument("--table", type=pathlib.Path, help="where to write what came out, as a table")
    parser.add_argument("what", nargs="+")
    given = parser.parse_args()
    extent = given.what[0]
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tendril-stress-"))
    directory.chmod(0o755)

    def terminated(number, _):
        print(f"FAILED: signal {number}", flush=True)
        for pid in harness.descendants(os.getpid()):
            harness.kill_quietly(pid)
        shutil.rmtree(directory, ignore_errors=True)
        os._exit(1)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, terminated)
    harness.become_subreaper()
    harness.raise_file_limit()
    try:
        suite = Suite(given.tendril, given.preload, directory, SECONDS.get(extent, SECONDS["all"]))
        stressors = {"fixed": FIXED}.get(extent) or (all_stressors() if extent == "all" else given.what)
        sys.exit(1 if run_all(suite, given.table, stressors) else 0)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


main()
