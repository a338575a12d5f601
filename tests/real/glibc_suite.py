"""The tests of the GNU C library (Debian's glibc-source), natively and green.

    glibc_suite.py --tendril PATH --build DIRECTORY [--table FILE] all|PROGRAM...

They are built once, in DIRECTORY (twelve minutes on two cores), and run with the system's C library, which must be
of the same version. A PROGRAM is named by its part of the library: nptl/tst-cond1.
"""

import argparse
import os
import pathlib
import platform
import re
import subprocess
import sys
import tarfile

import program_suite

SOURCES = pathlib.Path("/usr/src/glibc")
PARTS = ["nptl", "rt", "socket", "signal", "posix", "io", "misc", "time", "stdlib", "malloc", "libio", "resolv",
         "dlfcn", "inet", "stdio-common"]
LOADER = b"/lib64/ld-linux-x86-64.so.2\0"

# Never run, and why.
NOT_RUN = {
    "misc/tst-gettid-kill": "another process signals a thread by its tid: docs/limits.md",
    "misc/tst-tgkill": "another process signals a thread by its tid: docs/limits.md",
    "nptl/tst-pthread_cancel-exited": "waits until /proc/self/task shows one kernel thread: docs/limits.md",
    "nptl/tst-pthread_kill-exited": "waits until /proc/self/task shows one kernel thread: docs/limits.md",
    "nptl/tst-robust8": "SIGKILL of an owner of robust mutexes that is not the first thread: docs/limits.md",
    "nptl/tst-robustpi8": "SIGKILL of an owner of robust mutexes that is not the first thread: docs/limits.md",
    "stdlib/test-cxa_atexit-race2": "two threads spin for each other for seconds: on a busy machine it fails natively",
}


def run(words, directory, log):
    with open(log, "ab") as sink:
        if subprocess.run(words, cwd=directory, stdout=sink, stderr=sink, check=False).returncode != 0:
            sys.exit(f"{' '.join(map(str, words))} failed: see {log}")


def build(directory):
    version = platform.libc_ver()[1]
    archive = SOURCES / f"glibc-{version}.tar.xz"
    program_suite.require_package(archive, "glibc-source")
    source, target, done = directory / f"glibc-{version}", directory / "build", directory / f"built-{version}"
    if done.exists():
        return source, target
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "build.log"
    print(f"building the C library's tests; see {log}", flush=True)
    with tarfile.open(archive) as packed:
        packed.extractall(directory)
    target.mkdir(exist_ok=True)
    run([source / "configure", "--prefix=/usr", "--disable-werror", "--disable-nscd"], target, log)
    jobs = f"-j{os.cpu_count()}"
    run(["make", jobs], target, log)
    # A few tests, none of those that are run here, want a whole system installed, its manual too, which the archive
    # lacks: no test would be built.
    (target / "testroot.pristine").mkdir(exist_ok=True)
    (target / "testroot.pristine" / "install.stamp").touch()
    with open(log, "ab") as sink:  # some tests cannot be built outside Debian's own build
        subprocess.run(["make", jobs, "-k", "run-built-tests=no", f"subdirs={' '.join(PARTS)}", "check"], cwd=target,
                       stdout=sink, stderr=sink, check=False)
    if not (target / "nptl" / "tst-cond1").exists():
        sys.exit(f"no test was built: see {log}")
    done.touch()
    return source, target


def is_dynamic_program(path):
    """Of the system's loader: some tests bring a loader of their own, and those that are static stay native."""
    if "." in path.name or not path.is_file() or not os.access(path, os.X_OK):
        return False
    with open(path, "rb") as file:
        return (head := file.read(8192)).startswith(b"\x7fELF") and LOADER in head


def wants_a_root_of_its_own(source, part):
    """Tests that the library's Makefiles run in a container: they change files of the system."""
    makefile = (source / part / "Makefile").read_text()
    found = re.findall(r"^tests-container\s*[:+]?=((?:.*\\\n)*.*)", makefile, re.MULTILINE)
    return {name for names in found for name in re.findall(r"[\w-]+", names)}


def programs(source, target):
    modules = target.parent / "modules"  # no folder that has a libc.so.6 in it
    modules.mkdir(exist_ok=True)
    for part in PARTS:
        for module in (target / part).glob("*mod*.so"):
            if not (modules / module.name).exists():
                (modules / module.name).symlink_to(module)
    environment = {"LD_LIBRARY_PATH": str(modules), "TIMEOUTFACTOR": "6"}
    return [program_suite.Program(f"{part}/{path.name}", [str(path)], source / part, environment)
            for part in PARTS for path in sorted((target / part).iterdir())
            if is_dynamic_program(path) and path.name not in wants_a_root_of_its_own(source, part)]


def outcomes(program, run):
    if run.status == 77:
        return {program.name: "unsupported"}
    if run.status == 1 and "Timed out: killed the child process" in run.output:
        return {program.name: "hang"}
    return {program.name: program_suite.ending(run.status)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tendril", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--table", type=pathlib.Path, help="where to write what came out, as a table")
    parser.add_argument("what", nargs="+")
    given = parser.parse_args()
    suite = program_suite.Suite("glibc", outcomes, ("ok", "unsupported"), 300, NOT_RUN)
    sys.exit(program_suite.run_main(suite, programs(*build(given.build.resolve())), given))


main()
