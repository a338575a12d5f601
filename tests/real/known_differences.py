"""Differences from a native run that the suites know of: tests/known_differences.txt.

One entry a line: `suite case native green reason`. The case may be a pattern; `native` and `green` are how it ends
there, in the suite's own words. A crash or a hang can be no entry, and a suite that has run a case of an entry
without finding the difference fails (`unused`).

    known_differences.py write [ROOT]    puts them into docs/limits.md
    known_differences.py check [ROOT]    fails if that page shows others
"""

import collections
import fnmatch
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FILE = ROOT / "tests" / "known_differences.txt"
PAGE = "docs/limits.md"
HEADING = "## What suites see of it\n"
NEVER_KNOWN = ("crash", "hang")

Entry = collections.namedtuple("Entry", "suite case native green reason")


def read(file=FILE):
    """All entries; ends the program if the file is not what it should be."""
    entries = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split(None, 4)
        if len(words) < 5:
            sys.exit(f"{file.name}:{number}: not `suite case native green reason`: {line}")
        entry = Entry(*words)
        if entry.native == entry.green:
            sys.exit(f"{file.name}:{number}: no difference: {line}")
        for outcome in (entry.native, entry.green):
            if outcome in NEVER_KNOWN:
                sys.exit(f"{file.name}:{number}: a {outcome} is always a failure: {line}")
        entries.append(entry)
    return entries


class KnownDifferences:
    """The entries of one suite, and which of them a run has met."""

    def __init__(self, suite, file=FILE):
        self.entries = [entry for entry in read(file) if entry.suite == suite]
        self._met = set()

    def explains(self, case, native, green):
        for entry in self.entries:
            if (entry.native, entry.green) == (native, green) and fnmatch.fnmatchcase(case, entry.case):
                self._met.add(entry)
                return True
        return False

    def unused(self, cases):
        """Entries that speak of one of the cases that were run, and were not met."""
        return [entry for entry in self.entries
                if entry not in self._met and any(fnmatch.fnmatchcase(case, entry.case) for case in cases)]


def section(entries):
    """What the page has below its heading."""
    text = ("\nSuites that others wrote are run natively and green and compared case by case (those of CPython, GLib and the C\n"
            "library, and stress-ng; `ctest -L long` runs all of them). ")
    if not entries:
        return text + "Every case ends as it does natively.\n"
    text += ("These cases end otherwise, and have to; an entry that makes no difference any\nmore fails the run.\n\n"
             "| suite | case | natively | green | why |\n|---|---|---|---|---|\n")
    return text + "".join(f"| {entry.suite} | `{entry.case}` | {entry.native} | {entry.green} | {entry.reason} |\n"
                          for entry in entries)


def main(action="", root=ROOT):
    root = pathlib.Path(root)
    page = root / PAGE
    before, heading, shown = page.read_text().partition(HEADING)
    wanted = section(read(root / "tests" / FILE.name))
    if not heading or action not in ("write", "check"):
        sys.exit(f"{PAGE} has no section {HEADING.strip()!r}" if not heading else "usage: known_differences.py write|check")
    if action == "write":
        page.write_text(before + heading + wanted)
    elif shown != wanted:
        sys.exit(f"{PAGE} is out of date: run tests/real/known_differences.py write")


if __name__ == "__main__":
    main(*sys.argv[1:])
