"""Debian's CPython suite, module by module, natively and green: every case must come out the same.

    cpython_suite.py --tendril PATH [--table FILE] fixed|all|MODULE...

A difference fails, unless tests/known_differences.txt lists it with the reason; an entry that makes no
difference any more fails too. A crash or a hang always fails. `fixed` is what is run every time, `all` takes
long. Two modules run at a time, each by a process of its own (`one MODULE native|green RESULT`).
"""

import argparse
import collections
import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

import harness
import known_differences

PYTHON = "/usr/bin/python3.11"
# Waits on AF_VSOCK can hang natively.
ALWAYS_IGNORED = ["ThreadedVSOCKSocketStreamTest"]
MODULE_SECONDS = 1800
STUCK_SECONDS = 1500  # then the module says where it is, and ends
JOBS = 2

# Module: patterns of cases to leave out of the fixed subset, because they take long.
FIXED = {
    "test_thread": [],
    "test_threading": [],
    "test_threading_local": [],
    "test_threadedtempfile": [],
    "test_threadsignals": [],
    "test_queue": [],
    "test_sched": [],
    "test_select": [],
    "test_poll": ["test_poll2"],
    "test_epoll": [],
    "test_socketserver": [],
    "test_socket": [],
    "test_signal": ["test_siginterrupt_off", "test_itimer_virtual"],
    "test_eintr": [],
    "test_fork1": [],
    "test_wait4": [],
    "test_popen": [],
    "test_pty": [],
    "test_context": [],
    "test_telnetlib": [],
    "test_poplib": [],
    "test_ftplib": [],
    "test_smtplib": [],
    "test_httpservers": [],
    "test_asyncore": [],
}
ALL = [
    "test_thread", "test_threading", "test_threading_local", "test_threadedtempfile", "test_threadsignals",
    "test_queue", "test_sched", "test_context", "test_contextlib", "test_contextlib_async",
    "test_concurrent_futures", "test_asyncio", "test_asyncore", "test_asynchat", "test_selectors",
    "test_select", "test_poll", "test_epoll", "test_socket", "test_socketserver", "test_timeout", "test_ssl",
    "test_httplib", "test_httpservers", "test_http_cookiejar", "test_robotparser", "test_urllib",
    "test_urllib2", "test_urllib2_localnet", "test_ftplib", "test_smtplib", "test_smtpd", "test_imaplib",
    "test_poplib", "test_nntplib", "test_telnetlib", "test_xmlrpc", "test_docxmlrpc", "test_signal",
    "test_eintr", "test_file_eintr", "test_faulthandler", "test_subprocess", "test_popen", "test_fork1",
    "test_wait3", "test_wait4", "test_multiprocessing_fork", "test_multiprocessing_spawn",
    "test_multiprocessing_forkserver", "test_multiprocessing_main_handling", "test_io", "test_file",
    "test_fileio", "test_fcntl", "test_ioctl", "test_largefile", "test_mmap", "test_os", "test_posix", "test_pty",
    "test_openpty", "test_pipes", "test_shutil", "test_tempfile", "test_time", "test_timeit", "test_resource",
    "test_logging", "test_syslog", "test_sys", "test_gc", "test_weakref", "test_importlib", "test_atexit",
    "test_tracemalloc", "test_sys_settrace", "test_sys_setprofile", "test_cprofile", "test_runpy",
    "test_cmd_line", "test_uuid", "test_zipfile", "test_bz2", "test_lzma", "test_gzip", "test_zlib",
    "test_hashlib", "test_decimal", "test_ctypes", "test_repl", "test_interpreters", "test_dbm", "test_compileall",
    "test_wsgiref", "test_memoryio", "test_bufio", "test_generators", "test_coroutines", "test_asyncgen",
    "test_functools", "test_import", "test_pathlib", "test_profile", "test__xxsubinterpreters", "test_regrtest",
    "test_support", "test_pdb", "test_cmd_line_script", "test_warnings", "test_random", "test_posixpath", "test_glob",
    "test_pwd", "test_grp", "test_stat", "test_tarfile", "test_pickle", "test_copy", "test_print", "test_univnewlines",
    "test_urllib_response", "test_ipaddress", "test_netrc", "test_mailbox", "test_webbrowser", "test_platform",
    "test_locale", "test_unittest", "test_doctest", "test_zipimport", "test_zipapp", "test_super", "test_descr",
    "test_exceptions", "test_traceback", "test_sysconfig", "test_site", "test_readline", "test_audit",
    "test_embed", "test_lib2to3", "test_json", "test_float", "test_struct", "test_array", "test_re", "test_unicode",
]

STARTED = re.compile(r"^(\w+) \(([\w.]+)\)(?:\n.*)? \.\.\. ", re.MULTILINE)
FAILED = re.compile(r"^(?:FAIL|ERROR): (\w+) \(([\w.<>]+)\)", re.MULTILINE)

Outcome = collections.namedtuple("Outcome", "cases status seconds output seen_green")


def case_name(method, place):
    return place if place.endswith("." + method) else f"{place}.{method}"


def results_of(report, output):
    """case: ok, skipped or failed, from the XML report and, for sub-tests and fixtures, from the output."""
    cases = {}
    if report.exists():
        for case in xml.etree.ElementTree.parse(report).iter("testcase"):
            name = case.get("name")
            if name is None:
                continue  # a failed sub-test: the output names it
            if case.find("error") is not None or case.find("failure") is not None:
                cases[name] = "failed"
            elif case.find("skipped") is not None:
                cases[name] = "skipped"
            elif case.get("outcome") == "UNEXPECTED_SUCCESS":
                cases[name] = "failed"
            else:
                cases[name] = "ok"
    for method, place in FAILED.findall(output):
        cases[case_name(method, place)] = "failed"
    return cases


class Suite:
    def __init__(self, test):
        self.test = test

    def environment(self, sandbox):
        """What a test may touch is in the sandbox; what changes Python's behaviour is not inherited."""
        for name in [name for name in os.environ if name.startswith("PYTHON")]:
            del os.environ[name]
        return {"HOME": str(sandbox), "TMPDIR": str(sandbox), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "TERM": "dumb"}

    def run(self, module, ignored, green):
        sandbox = pathlib.Path(tempfile.mkdtemp(dir=self.test.directory))
        report = sandbox / "report.xml"
        words = [PYTHON, "-m", "test", "-v", "-u", "network", "--timeout", STUCK_SECONDS, "--junit-xml", report]
        for pattern in [*ALWAYS_IGNORED, *ignored]:
            words += ["-i", pattern]
        begin = time.monotonic()
        program = self.test.start([*words, module], under_test=green, environment=self.environment(sandbox),
                                  cwd=sandbox)
        seen_green = green and harness.wait_until(
            lambda: harness.SHIM in harness.read_proc(program.pid, "maps") or not program.alive(), f"{module} is green")
        try:
            status = program.wait(MODULE_SECONDS)
        except harness.Failure:
            self.test.report()
            status = "hang"
        seconds = time.monotonic() - begin
        self.test.end()  # whatever the module left running
        output = program.output()
        outcome = Outcome(results_of(report, output), status, seconds, output, bool(seen_green))
        self.test.programs.remove(program)
        program.log.unlink()
        shutil.rmtree(sandbox, ignore_errors=True)
        return outcome

    @staticmethod
    def crash(outcome):
        """What happened, if the module did not come to an end of its own."""
        if outcome.status == "hang":
            what = f"still running after {MODULE_SECONDS} s"
        elif outcome.status < 0:
            what = f"died of signal {-outcome.status}"
        elif re.search(r"^Timeout \(\d+:\d+:\d+\)!", outcome.output, re.MULTILINE):
            what = f"the module ran longer than {STUCK_SECONDS} s"
        elif not outcome.cases and outcome.status != 0 and "Result: SUCCESS" not in outcome.output:
            what = f"status {outcome.status} without any result"
        else:
            return None
        started = STARTED.findall(outcome.output)
        return what + (f", in {case_name(*started[-1])}" if started else "")


def explain(outcome, case):
    """The report of a failed case in the output, up to 40 lines."""
    name = case.rpartition(".")[2]
    at = re.search(rf"^(FAIL|ERROR): {re.escape(name)} \(.*\n-+\n", outcome.output, re.MULTILINE)
    if at is None:
        return "  (no report)"
    text = re.split(r"^(?:=|-){60,}$", outcome.output[at.end():], 1, re.MULTILINE)[0]
    return "\n".join("    " + line for line in text.strip().splitlines()[-40:])


def compare(module, native, green, known):
    """Prints what differs; returns the number of differences that are not known."""
    bad = 0
    for name, outcome in (("native", native), ("green", green)):
        if crashed := Suite.crash(outcome):
            print(f"  {module} {name}: {crashed}")
            print("\n".join("    " + line for line in outcome.output.splitlines()[-30:]))
            bad += 1
    if bad:
        return bad
    if not green.seen_green:
        print(f"  {module}: did not run green")
        return 1
    for case in sorted(set(native.cases) | set(green.cases)):
        expected, came = (outcome.cases.get(case, "missing") for outcome in (native, green))
        if expected == came:
            if came == "failed":
                print(f"  {case}: fails natively, too\n{explain(native, case)}")
        elif not known.explains(case, expected, came):
            print(f"  {case}: native {expected}, green {came}\n{explain(green if came == 'failed' else native, case)}")
            bad += 1
    if (native.status == 0) != (green.status == 0) and not bad and native.cases == green.cases:
        print(f"  {module}: native ends with {native.status}, green with {green.status}")
        print("\n".join("    " + line for line in (green if green.status else native).output.splitlines()[-30:]))
        bad += 1
    return bad


def counts(outcome):
    found = collections.Counter(outcome.cases.values())
    return f"{found['ok']:5} ok {found['skipped']:4} skipped {found['failed']:3} failed {outcome.seconds:6.1f} s"


def run_apart(directory, tendril, module, mode, ignored):
    """The outcome of a module, run by a process that can tell its own descendants from those of others."""
    result = directory / f"{module}.{mode}.json"
    process = subprocess.run(
        [sys.executable, "-B", __file__, "--tendril", tendril, "one", module, mode, result, *ignored],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        preexec_fn=lambda: harness.end_with_parent(signal.SIGTERM))
    if process.returncode != 0:
        return Outcome({}, "hang", 0.0, process.stdout, mode == "green")
    return Outcome(**json.loads(result.read_text()))


def run_all(directory, tendril, table, modules):
    known, cases, rows, bad = known_differences.KnownDifferences("cpython"), set(), [], 0
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        runs = {module: [pool.submit(run_apart, directory, tendril, module, mode, ignored)
                         for mode in ("native", "green")]
                for module, ignored in modules.items()}
        for module, (native_run, green_run) in runs.items():
            native, green = native_run.result(), green_run.result()
            print(f"{module:36} native {counts(native)} | green {counts(green)}")
            differences = compare(module, native, green, known)
            sys.stdout.flush()
            cases |= set(native.cases) | set(green.cases)
            rows.append(f"| {module} | {len(native.cases)} | {counts(native)} | {counts(green)} | {differences} |\n")
            bad += differences
    for entry in known.unused(cases):
        print(f"  {entry.case}: listed in {known_differences.FILE.name}, but makes no difference")
        bad += 1
    if table:
        table.write_text("| module | cases | native | green | differences |\n|---|---|---|---|---|\n" + "".join(rows))
    print(f"{len(modules)} modules, {len(cases)} cases, {bad} differences")
    return bad


def run_one(directory, tendril, module, mode, result, *ignored):
    harness.become_subreaper()
    test = harness.Test("green", tendril, directory, [])
    with contextlib.ExitStack() as stack:
        stack.callback(test.end)
        outcome = Suite(test).run(module, ignored, green=mode == "green")
    pathlib.Path(result).write_text(json.dumps(outcome._asdict()))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tendril", type=pathlib.Path, required=True)
    parser.add_argument("--table", type=pathlib.Path, help="where to write what came out, as a table")
    parser.add_argument("what", nargs="+")
    given = parser.parse_args()

    def terminated(number, _):
        if given.what[0] == "one":
            sys.exit(f"FAILED: signal {number}")  # ends what it has started
        print(f"FAILED: signal {number}", flush=True)
        shutil.rmtree(directory, ignore_errors=True)
        os._exit(1)  # and its children by the signal that this sends them

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, terminated)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tendril-cpython-"))
    try:
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
            if given.what[0] == "one":
                run_one(directory, given.tendril, *given.what[1:])
                return
            modules = {"fixed": FIXED, "all": dict.fromkeys(ALL, [])}.get(given.what[0], dict.fromkeys(given.what, []))
            sys.exit(1 if run_all(directory, given.tendril, given.table, modules) else 0)
    except harness.Failure as failure:
        sys.exit(f"FAILED: {failure}")


main()
