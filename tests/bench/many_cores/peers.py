"""Who is compared: the same program native, green with one worker, and green as it is by default."""

import ctypes
import os
import signal
import statistics
import subprocess

from measure import failed, note

NATIVE = "native"
ONE = "green, 1 worker"
DEFAULT = "green, default"  # a worker for each core

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def peers(programs, command, names=(NATIVE, ONE, DEFAULT)):
    """{name: command} of those that can be run; `command` is the program's, or None if there is none."""
    if command is None:
        return {}
    commands = {NATIVE: command, ONE: programs.under_tendril(command, workers=1),
                DEFAULT: programs.under_tendril(command)}
    if commands[DEFAULT] is None:
        note("No green figures: bin/tendril is not built.")
    else:
        note(f"{DEFAULT}: {len(os.sched_getaffinity(0))} workers, unless a quota of the cgroup says fewer.")
    return {name: commands[name] for name in names if commands[name] is not None}


class Server:
    """One that says "listening PORT" or "listening PORT PID", and ends with whoever started it."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                        preexec_fn=lambda: _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
        line = self.process.stdout.readline().split()
        if len(line) not in (2, 3) or line[0] != "listening":
            self.stop()
            raise RuntimeError(f"{' '.join(map(str, command))} did not start")
        self.port = int(line[1])
        self.pid = int(line[2]) if len(line) == 3 else self.process.pid  # who serves

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()  # it may have children to end
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def turns(what, servers, rounds, turn):
    """{name: [result of each round]} of turn(server); who fails says so once and is left out."""
    print(f"  {what}…", flush=True)
    results = {name: [] for name in servers}
    for number in range(rounds):
        # Whoever goes first changes: what drifts within a round falls on all.
        for name in list(results) if number % 2 == 0 else list(reversed(results)):
            try:
                results[name].append(turn(servers[name]))
            except RuntimeError as error:
                failed(f"{what}, {name}: {error}")
                del results[name]
    return results


def median(results, key):
    return statistics.median(result[key] for result in results)


def against(results, baseline, key):
    """The median of the ratios of each round."""
    return statistics.median(mine[key] / theirs[key] for mine, theirs in zip(results, baseline))


def compared(results, name, key, scale=1.0, digits=0, baseline=NATIVE):
    """A cell of a table: the value, and in brackets what it is against the baseline's."""
    if name not in results:
        return "–"
    cell = f"{median(results[name], key) * scale:,.{digits}f}"
    if name == baseline or baseline not in results:
        return cell
    return f"{cell} ({against(results[name], results[baseline], key):.2f})"
