"""tests/real/known_differences.py finds what it is there to find.

    known_differences_test.py SOURCE_DIR
"""

import pathlib
import subprocess
import sys
import tempfile

source = pathlib.Path(sys.argv[1])
script = source / "tests/real/known_differences.py"
sys.path.insert(0, str(script.parent))
import known_differences  # noqa: E402

failed = 0


def expect(what, condition):
    global failed
    if not condition:
        print(f"{what}: not so")
        failed = 1


def run(action, root):
    return subprocess.run([sys.executable, "-B", script, action, root], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)


with tempfile.TemporaryDirectory() as name:
    root = pathlib.Path(name)
    (root / "tests").mkdir()
    (root / "docs").mkdir()
    entries = root / "tests/known_differences.txt"
    page = root / "docs/limits.md"
    page.write_text("# Page\n\n" + known_differences.HEADING)
    entries.write_text("# nothing\n")
    expect("a page without the section's text is out of date", "out of date" in run("check", root).stdout)
    expect("it can be written", run("write", root).returncode == 0 and run("check", root).returncode == 0)
    entries.write_text("suite one.* ok failed because of this and that\n")
    expect("an entry that the page does not show", "out of date" in run("check", root).stdout)
    expect("it can be written, too", run("write", root).returncode == 0 and run("check", root).returncode == 0)
    expect("the reason is shown", "because of this and that" in page.read_text())

    known = known_differences.KnownDifferences("suite", entries)
    expect("an entry that made no difference is told", len(known.unused({"one.a"})) == 1)
    expect("unless none of its cases ran", not known.unused({"two.a"}))
    expect("another outcome is no known one", not known.explains("one.a", "ok", "skipped"))
    expect("what it names is known", known.explains("one.a", "ok", "failed"))
    expect("and then it is in use", not known.unused({"one.a"}))
    expect("other suites do not see it", not known_differences.KnownDifferences("other", entries).entries)

    for line, message in (("suite case ok crash why\n", "always a failure"), ("suite case hang ok why\n", "always a failure"),
                          ("suite case ok ok why\n", "no difference"), ("suite case ok failed\n", "not `suite")):
        entries.write_text(line)
        expect(f"refused: {line.strip()}", message in run("check", root).stdout)
    page.write_text("# Page\n")
    entries.write_text("")
    expect("a page without the section", "has no section" in run("check", root).stdout)

sys.exit(failed)
