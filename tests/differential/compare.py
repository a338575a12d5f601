#!/usr/bin/env python3
"""Runs random programs of system calls natively and green and compares what they have done.

A difference is looked into before it counts: the program is run again, alone and with more time for
threads to go on, several times on both sides. It counts if a green run does what no native run does.
Then the program is made smaller, as long as the difference stays, and printed.

Exit status: 0 no difference, 1 some, 2 wrong arguments or a tester that does not work.
"""

import argparse
import difflib
import os
import re
import subprocess
import sys
import time

# name: what is added to the environment of the green run
VARIANTS = {
    "green": {},
    "one": {"TENDRIL_WORKERS": "1"},
    "many": {"TENDRIL_WORKERS": "4", "TENDRIL_SLICE_US": "300"},
    "trap": {"TENDRIL_PATCH": "0"},
}
SETTLE_US = 5000
SETTLE_AGAIN_US = 20000
SETTLE_AT_LAST_US = 100000
RUNS_AGAIN = 3


def transcripts(text):
    """By seed."""
    found = {}
    for block in re.split(r"^== ", text, flags=re.M)[1:]:
        seed, _, rest = block.partition("\n")
        found[int(seed)] = rest
    return found


class Side:
    """The native or the green way to run programs."""

    def __init__(self, options, name):
        self.name = name
        self.options = options
        self.green = name != "native"
        self.environment = dict(os.environ)
        if self.green:
            self.environment.update(VARIANTS[name])

    def run(self, first, count, jobs=1, settle=None, steps=None, threaded=None):
        command = [self.options.program, "--jobs", str(jobs)]
        if self.green:
            command = [self.options.tendril, "--"] + command
            if self.options.lie_about:
                command += ["--lie-about", self.options.lie_about]
        if settle is None and self.green:
            settle = SETTLE_US  # natively /proc tells, and no time is needed
        if settle is not None:
            command += ["--settle", str(settle)]
        if steps is not None:
            command += ["--steps", ",".join(map(str, steps))]
        if self.options.threaded if threaded is None else threaded:
            command += ["--threaded"]
        command += [str(first), str(count)]
        run = subprocess.run(command, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True)
        found = transcripts(run.stdout.decode(errors="backslashreplace"))
        if run.returncode != 0 or len(found) != count:
            print(f"{' '.join(command)}: status {run.returncode}, {len(found)} of {count} programs")
            print(run.stderr.decode(errors="backslashreplace")[-2000:])
            sys.exit(2)
        return found

    def again(self, seed, steps=None, runs=RUNS_AGAIN, settle=SETTLE_AGAIN_US):
        """What the program does when it is run some more times: a set of transcripts."""
        return {self.run(seed, 1, settle=settle, steps=steps)[seed] for _ in range(runs)}


def first_difference(native, green):
    """A green transcript that is not among the native ones, and the native one most like it."""
    for one in sorted(green - native):
        return max(sorted(native), key=lambda other: len(os.path.commonprefix([one, other]))), one
    return None


def steps_of(transcript):
    return [int(match) for match in re.findall(r"^(\d+): ", transcript, flags=re.M)]


def differs(native, green, seed, steps):
    """Cheap first: most smaller programs show no difference."""
    green_runs = green.again(seed, steps, runs=1)
    native_runs = native.again(seed, steps, runs=1)
    if not green_runs - native_runs:
        return False
    return bool(green.again(seed, steps, runs=2) - native.again(seed, steps, runs=3) - native_runs)


def minimised(native, green, seed, steps):
    """Leaves out as many steps as possible: halves first, single ones at last."""
    size = max(1, len(steps) // 2)
    while True:
        at = 0
        smaller = False
        while at < len(steps):
            rest = steps[:at] + steps[at + size:]
            if rest and differs(native, green, seed, rest):
                steps, smaller = rest, True
            else:
                at += size
        if size == 1 and not smaller:
            return steps
        size = max(1, size // 2)


def report(native, green, seed, runs):
    native_one, green_one = first_difference(*runs)
    print(f"seed {seed} differs ({green.name})", flush=True)
    steps = steps_of(native_one if len(native_one) > len(green_one) else green_one)
    steps = sorted(set(steps))
    if differs(native, green, seed, steps):
        steps = minimised(native, green, seed, steps)
        native_runs, green_runs = native.again(seed, steps), green.again(seed, steps)
        found = first_difference(native_runs, green_runs)
        if found:
            native_one, green_one = found
    shown = difflib.unified_diff(native_one.splitlines(), green_one.splitlines(), "native", green.name, n=1000, lineterm="")
    print("\n".join(line[:600] for line in shown))
    threaded = " --threaded" if native.options.threaded else ""
    print(f"again: {native.options.program}{threaded} --steps {','.join(map(str, steps))} {seed} 1\n", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--tendril", required=True)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1) + 4)
    parser.add_argument("--variants", default="green,one,many,trap", help="of: " + " ".join(VARIANTS))
    parser.add_argument("--threaded", action="store_true", help="children of a process that is green itself")
    parser.add_argument("--most", type=int, default=5, help="differences to look into, then stop")
    parser.add_argument("--lie-about", help="for the tester's own test: a call with wrong results in green runs")
    options = parser.parse_args()
    native = Side(options, "native")
    begin = time.monotonic()
    expected = native.run(options.first, options.count, options.jobs)
    differences, unsettled = 0, 0
    for name in options.variants.split(","):
        green = Side(options, name)
        came = green.run(options.first, options.count, options.jobs)
        suspects = [seed for seed in sorted(expected) if came[seed] != expected[seed]]
        for seed in suspects:
            runs = native.again(seed) | {expected[seed]}, green.again(seed)
            found = first_difference(*runs)
            # What ends badly counts at once; the rest must stay with even more time, for on a busy
            # machine a thread may not go on for long.
            if found and not re.search("^did not end|^killed|^exit", found[1], flags=re.M):
                runs = (runs[0] | native.again(seed, runs=1),
                        green.again(seed, runs=2, settle=SETTLE_AT_LAST_US))
                found = first_difference(*runs)
            if found is None:
                unsettled += 1
                continue
            differences += 1
            report(native, green, seed, runs)
            if differences >= options.most:
                break
        if differences >= options.most:
            print(f"stopped after {differences} differences")
            break
    print(f"{options.count} programs natively and as {options.variants}: {differences} differences, "
          f"{unsettled} gone when run again, {time.monotonic() - begin:.0f} s")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
