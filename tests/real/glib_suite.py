"""GLib's own tests (Debian's libglib2.0-tests), natively and green, compared case by case.

    glib_suite.py --tendril PATH [--table FILE] all|PROGRAM...

They use threads, thread pools, main loops, child processes, sockets and D-Bus as C programs of a desktop do.
"""

import argparse
import pathlib
import re
import sys

import program_suite

TESTS = pathlib.Path("/usr/libexec/installed-tests/glib")

# Never run, and why.
NOT_RUN = {
    "fake-document-portal": "a server of other tests",
    "fake-service-name": "a server of other tests",
    "gapplication": "a timer of one case ends another's application: on a busy machine most runs fail natively",
    "gdbus-threading": "takes longer than all the others",
    "performance": "measures; it has no cases",
}


def is_program(path):
    with open(path, "rb") as file:
        return path.is_file() and path.stat().st_mode & 0o111 and file.read(4) == b"\x7fELF"


def programs():
    environment = {"G_TEST_SRCDIR": str(TESTS), "G_TEST_BUILDDIR": str(TESTS)}
    return [program_suite.Program(path.name, [str(path)], None, environment)
            for path in sorted(TESTS.iterdir()) if path.is_file() and is_program(path) and path.suffix != ".so"]


def outcomes(program, run):
    """By the lines of the Test Anything Protocol, and how the program ended.

    A case that provokes a race counts as passed if the race has not come about: that is no two times the same.
    """
    cases = {}
    for line in run.output.splitlines():
        if match := re.match(r"(ok|not ok) \d+ (?:- )?(\S+)(.*# SKIP)?", line):
            skipped = match[3] and "Failed to reproduce race" not in line
            outcome = "failed" if match[1] != "ok" else "skipped" if skipped else "ok"
            case = re.sub(r"seed:\d+", "seed", match[2])  # another one at each run
            cases[f"{program.name}:{case}"] = outcome
    cases[program.name] = program_suite.ending(run.status)
    return cases


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tendril", type=pathlib.Path, required=True)
    parser.add_argument("--table", type=pathlib.Path, help="where to write what came out, as a table")
    parser.add_argument("what", nargs="+")
    given = parser.parse_args()
    program_suite.require_package(TESTS, "libglib2.0-tests")
    suite = program_suite.Suite("glib", outcomes, ("ok", "skipped"), 120, NOT_RUN)
    sys.exit(program_suite.run_main(suite, programs(), given))


main()
