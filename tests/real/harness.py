"""What the drivers of tests/real share: one real program, started, watched, stopped and cleaned up after.

A driver defines `run(test)` and ends with `harness.main(run)`. It is called as

    driver.py native|green [--tendril PATH] [argument...]

In green mode test.start prefixes the program under test with the tendril command; helpers and clients
are native in both modes, so that the two runs differ in nothing else.
"""

import argparse
import collections
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SHIM = "libtendril-interpose"
# Kernel threads that a green process may have besides its workers: watchdog, offload, libuv's pool.
SPARE_THREADS = 6
# And workers that stand in for those that are stuck in the kernel, as on a machine with much to do.
STAND_INS = 16
STARTUP_SECONDS = 60
STOP_SECONDS = 30

_libc = ctypes.CDLL(None)


class Failure(Exception):
    """The program under test did something that it should not."""


def require(condition, message):
    if not condition:
        raise Failure(message)


def wait_until(condition, what, seconds=STARTUP_SECONDS):
    """Returns the first true value of condition(); fails after that many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        require(time.monotonic() < deadline, f"{what}: not within {seconds} s")
        time.sleep(0.02)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
        return True
    except OSError:
        return False


def raise_file_limit():
    """As many descriptors as the machine allows: clients and servers of these tests hold many."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def end_with_parent(signal_number=signal.SIGKILL):
    """In a child, before it executes its program: the signal that it gets when its parent ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal_number)


def become_subreaper():
    """What our programs leave behind comes to us, so that it can be ended."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1)


def read_proc(pid, name):
    """A file of /proc/PID; empty if the process has ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def status_field(pid, field):
    for line in read_proc(pid, "status").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return value.strip()
    return ""


def kernel_threads(pid):
    return int(status_field(pid, "Threads") or 0)


def is_alive(pid):
    return status_field(pid, "State")[:1] not in ("", "Z", "X")


def parents():
    """pid: parent's pid, for every process there is."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            parent = status_field(entry, "PPid")
            if parent:
                found[int(entry)] = int(parent)
    return found


def descendants(root):
    """The living processes below root, parents before children."""
    tree = parents()
    found = [root]
    for pid in found:
        found.extend(child for child, parent in tree.items() if parent == pid)
    return [pid for pid in found[1:] if is_alive(pid)]


def kill_quietly(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def end_family(session):
    """Ends every process of the session, and what they left to us by leaving it, by pid."""
    for _ in range(100):
        family = [pid for pid in descendants(os.getpid()) if session_of(pid) == session]
        if not family:
            return
        for pid in family:
            kill_quietly(pid)
        time.sleep(0.02)


def session_of(pid):
    """The session of a process; 0 if the process has ended."""
    stat = read_proc(pid, "stat").rpartition(")")[2].split()
    return int(stat[3]) if stat else 0


def waits_of_threads(pid):
    """Where the kernel threads of a process are: "name system-call wait-channel", and how many."""
    found = collections.Counter()
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            where = [read_proc(pid, f"task/{task}/{name}").strip() for name in ("comm", "syscall", "wchan")]
            found[f"{where[0]} {where[1].partition(' ')[0]} {where[2]}"] += 1
    except OSError:
        pass
    return found


class Program:
    """A running program and what it has written."""

    def __init__(self, argv, process, log, under_test):
        self.argv = argv
        self.process = process
        self.log = log
        self.under_test = under_test

    @property
    def pid(self):
        return self.process.pid

    def output(self):
        return self.log.read_text(errors="replace")

    def alive(self):
        return self.process.poll() is None

    def wait(self, seconds):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.argv[0]}: still running after {seconds} s") from None


class Test:
    def __init__(self, mode, tendril, directory, arguments):
        self.green = mode == "green"
        self.tendril = tendril
        self.directory = directory
        self.arguments = arguments
        self.programs = []
        self.workers = int(os.environ.get("TENDRIL_WORKERS") or len(os.sched_getaffinity(0)))

    def prefix(self):
        return [str(self.tendril), "--"] if self.green else []

    def start(self, argv, *, under_test=True, environment=None, user=None, stdin=subprocess.DEVNULL,
              stdout=None, cwd=None):
        """Starts a program; its output goes to a log of its own unless stdout says otherwise."""
        argv = [str(word) for word in argv]
        log = self.directory / f"log-{len(self.programs)}-{pathlib.Path(argv[0]).name}"
        variables = dict(os.environ, LC_ALL="C.UTF-8", **(environment or {}))
        command = (self.prefix() if under_test else []) + argv
        with open(log, "wb") as sink:
            process = subprocess.Popen(
                command, stdin=stdin, stdout=sink if stdout is None else stdout, stderr=sink,
                env=variables, user=user, extra_groups=[] if user else None, cwd=cwd or self.directory,
                preexec_fn=end_with_parent)
        program = Program(argv, process, log, under_test)
        self.programs.append(program)
        return program

    def call(self, argv, *, under_test=False, seconds=60, status=0, **options):
        """Runs a program to its end and returns its output; fails on another exit status."""
        program = self.start(argv, under_test=under_test, **options)
        ended = program.wait(seconds)
        require(ended == status, f"{' '.join(program.argv)}: status {ended}\n{program.output()}")
        return program.output()

    def wait_for_port(self, program, port):
        def ready():
            require(program.alive(), f"{program.argv[0]} ended early: {program.process.returncode}")
            return accepts(port)

        wait_until(ready, f"{program.argv[0]} on port {port}")

    def wait_for_text(self, program, text, seconds=STARTUP_SECONDS):
        """Waits until the program has written the text; returns all that it wrote."""

        def written():
            output = program.output()
            if text in output:
                return output
            require(program.alive(), f"{program.argv[0]} ended early: {program.process.returncode}")
            return None

        return wait_until(written, f"{program.argv[0]}: {text!r}", seconds)

    def check_threads(self, pid, native_at_least=1):
        """Green: a few kernel threads whatever the program thinks. Native: as many as it has threads."""
        threads = kernel_threads(pid)
        require(threads > 0, f"process {pid} has ended")
        if not self.green:
            require(threads >= native_at_least, f"Threads: {threads}, expected {native_at_least} or more")
            return
        require(SHIM in read_proc(pid, "maps"), f"process {pid} is not green")
        # Where it has many natively, all that a green process may ever have are few.
        limit = self.workers + SPARE_THREADS + (STAND_INS if native_at_least >= 2 * STAND_INS else 0)
        require(threads <= limit, f"Threads: {threads} with {self.workers} workers, allowed {limit}")

    def check_children(self, program, at_least=1):
        """Every process below the program is green too; returns their pids."""
        pids = descendants(program.pid)
        require(len(pids) >= at_least, f"{len(pids)} child processes, expected {at_least} or more")
        if self.green:
            for pid in pids:
                require(SHIM in read_proc(pid, "maps") or not is_alive(pid), f"child {pid} is not green")
        return pids

    def stop(self, program, signal_number=signal.SIGTERM, status=0, seconds=STOP_SECONDS):
        require(program.alive(), f"{program.argv[0]} ended early: {program.process.returncode}")
        program.process.send_signal(signal_number)
        ended = program.wait(seconds)
        require(ended == status, f"{program.argv[0]}: status {ended} after signal {signal_number}")

    def report(self):
        for program in self.programs:
            state = "running" if program.alive() else f"status {program.process.returncode}"
            print(f"--- {' '.join(program.argv)}: {state}")
            print(program.output()[-4000:])
            if program.alive():
                for pid in [program.pid, *descendants(program.pid)]:
                    print(f"    {pid}: Threads: {kernel_threads(pid)}, {status_field(pid, 'State')}")
                    for what, count in waits_of_threads(pid).most_common(8):
                        print(f"      {count} in {what}")

    def end(self):
        """Ends what is left of the programs, by pid, and reaps it."""
        for _ in range(100):
            left = descendants(os.getpid())
            if not left:
                break
            for pid in left:
                kill_quietly(pid)
            time.sleep(0.02)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass


def main(run, seconds=150):
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["native", "green"])
    parser.add_argument("--tendril", type=pathlib.Path)
    parser.add_argument("arguments", nargs="*")
    given = parser.parse_intermixed_args()
    if given.mode == "green" and given.tendril is None:
        parser.error("green needs --tendril")

    def expired(*_):
        raise Failure(f"not finished within {seconds} s")

    def terminated(number, _):
        raise Failure(f"signal {number}")

    signal.signal(signal.SIGALRM, expired)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, terminated)
    signal.alarm(seconds)
    become_subreaper()
    raise_file_limit()
    # Servers that drop privileges must be able to reach their files.
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tendril-real-"))
    directory.chmod(0o755)
    test = Test(given.mode, given.tendril, directory, given.arguments)
    status = 0
    try:
        run(test)
    except Exception as error:  # Whatever went wrong, the logs say more.
        if not isinstance(error, Failure):
            import traceback

            traceback.print_exc()
        print(f"FAILED: {error}")
        test.report()
        status = 1
    finally:
        signal.alarm(0)
        test.end()
        shutil.rmtree(directory, ignore_errors=True)
    sys.exit(status)
