"""Suites of many small programs: each is run natively and green, and what it says of its cases is compared.

A suite is a list of `Program`s and a function that turns a run into {case: outcome}. Programs that end natively
with an error (most want arguments or a machine of a certain kind) are counted and not compared.
"""

import collections
import concurrent.futures
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import harness
import known_differences

JOBS = 2

Program = collections.namedtuple("Program", "name words directory environment")
Run = collections.namedtuple("Run", "status output")  # status: None after `seconds`


class Suite:
    """`outcomes(program, run)` gives {case: outcome}; `passed` are the outcomes worth comparing with."""

    def __init__(self, name, outcomes, passed, seconds, not_run):
        self.name = name
        self.outcomes = outcomes
        self.passed = passed
        self.seconds = seconds
        self.not_run = not_run  # {program: why}

    def run(self, program, prefix):
        sandbox = tempfile.mkdtemp(prefix=f"tendril-{self.name}-")
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": sandbox, "TMPDIR": sandbox,
                       **program.environment}
        with tempfile.TemporaryFile() as sink:
            process = subprocess.Popen([*prefix, *program.words], stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
                                       cwd=program.directory or sandbox, env=environment, start_new_session=True,
                                       preexec_fn=harness.end_with_parent)
            try:
                status = process.wait(self.seconds)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                harness.end_family(process.pid)
                process.wait()
            sink.seek(0)
            output = sink.read().decode(errors="replace")
        shutil.rmtree(sandbox, ignore_errors=True)
        return Run(status, output)

    def run_both(self, program, tendril):
        native = self.run(program, [])
        outcomes = self.outcomes(program, native)
        if not any(outcome in self.passed for outcome in outcomes.values()):
            return outcomes, None, None
        green = self.run(program, [tendril, "--"])
        return outcomes, self.outcomes(program, green), green

    def compare(self, programs, tendril, table):
        """Prints what differs; returns the number of differences that nobody knows of."""
        known = known_differences.KnownDifferences(self.name)
        bad, failed_natively, cases, rows = 0, 0, set(), []
        with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
            runs = [(program, pool.submit(self.run_both, program, str(tendril))) for program in programs]
            for program, both in runs:
                native, green, run = both.result()
                if green is None:
                    failed_natively += 1
                    continue
                differences = [(case, outcome, green.get(case, "missing")) for case, outcome in native.items()
                               if outcome in self.passed and green.get(case, "missing") != outcome]
                cases.update(native)
                differs = [one for one in differences if not known.explains(*one)]
                for case, outcome, seen in differs:
                    print(f"{case}: native {outcome}, green {seen}")
                if differs:
                    print("".join(f"      {line}\n" for line in run.output.splitlines()[-12:]), end="")
                bad += len(differs)
                rows.append(f"| {program.name} | {len(native)} | {len(differences)} |\n")
                sys.stdout.flush()
        for entry in known.unused(cases):
            print(f"  {entry.case}: listed in {known_differences.FILE.name}, but makes no difference")
            bad += 1
        if table:
            table.write_text("| program | cases | differences |\n|---|---|---|\n" + "".join(rows))
        print(f"{len(rows)} programs with {len(cases)} cases, {bad} differences; {failed_natively} fail natively, "
              f"{len(self.not_run)} are not run")
        return bad


def ending(status):
    """What becomes of a program whose output says nothing about its cases."""
    if status is None:
        return "hang"
    if status < 0 or status >= 128:
        return "crash"
    return "ok" if status == 0 else "failed"


def require_package(path, package):
    if not pathlib.Path(path).exists():
        sys.exit(f"{path} is missing: install Debian's {package}")


def selected(programs, suite, wanted):
    """Those to be run; ends the program if a name is unknown."""
    if wanted == ["all"]:
        return [program for program in programs if program.name not in suite.not_run]
    names = {program.name: program for program in programs}
    unknown = [name for name in wanted if name not in names]
    if unknown or not wanted:
        sys.exit(f"unknown: {', '.join(unknown)}" if unknown else "which? `all`, or names of programs")
    return [names[name] for name in wanted]


def run_main(suite, programs, given):
    def terminated(number, _):
        print(f"FAILED: signal {number}", flush=True)
        for pid in harness.descendants(os.getpid()):
            harness.kill_quietly(pid)
        os._exit(1)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, terminated)
    harness.become_subreaper()
    harness.raise_file_limit()
    return 1 if suite.compare(selected(programs, suite, given.what), given.tendril, given.table) else 0
