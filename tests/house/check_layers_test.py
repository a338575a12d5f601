"""Every rule of .ci/check_layers fires on a small tree that breaks it, and on nothing else.

Usage: check_layers_test.py PATH_OF_CHECK_LAYERS
"""

import pathlib
import subprocess
import sys
import tempfile
import unittest


def check(files):
    """The lines that check_layers prints for a tree of {name: content}."""
    with tempfile.TemporaryDirectory() as root:
        for name, content in files.items():
            path = pathlib.Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        result = subprocess.run([sys.executable, CHECK_LAYERS, "--root", root], capture_output=True, text=True)
        lines = result.stdout.splitlines()
        assert result.returncode == (1 if lines else 0), result
        return lines


TREE = {
    "runtime/platform/clock.hpp": "#include <time.h>\n",
    "runtime/fiber/fiber.hpp": '#include "runtime/platform/clock.hpp"\n#include "wait.hpp"\n',
    "runtime/fiber/wait.hpp": "",
    "runtime/hub/hub.cpp": '#include "runtime/fiber/fiber.hpp"\n#include <tendril/event.hpp>\n',
    "runtime/loop/uv_loop.cpp": '#include <uv.h>\n#include "runtime/fiber/fiber.hpp"\n',
    "include/tendril/event.hpp": "#include <memory>\n",
    "interpose/kernel/table.hpp": '#include "syscalls.def"\n',
    "interpose/kernel/syscalls.def": "",
    "interpose/kernel/read.cpp": '#include "runtime/fiber/fiber.hpp"\n',
    "interpose/trap/trap.cpp": '#include "interpose/kernel/table.hpp"\n',
    "tests/runtime/loop_test.cpp": "#include <uv.h>\n",
}


class CheckLayers(unittest.TestCase):
    def assert_finds(self, path, content, words, line=1):
        lines = check({**TREE, path: content})
        self.assertEqual(len(lines), 1, lines)
        self.assertTrue(lines[0].startswith(f"{path}:{line}: "), lines)
        self.assertIn(words, lines[0])

    def test_a_tree_that_keeps_the_rules_passes(self):
        self.assertEqual(check(TREE), [])

    def test_upward_include_in_the_runtime(self):
        self.assert_finds("runtime/platform/clock.cpp", '\n#include "runtime/fiber/fiber.hpp"\n',
                          "runtime/platform may not include runtime/fiber", line=2)

    def test_upward_include_by_a_relative_name(self):
        self.assert_finds("runtime/platform/clock.cpp", '#include "../fiber/fiber.hpp"\n', "may not include")

    def test_runtime_does_not_know_interpose(self):
        self.assert_finds("runtime/hub/more.cpp", '#include "interpose/kernel/table.hpp"\n', "may not include")

    def test_kernel_does_not_know_its_front_ends(self):
        lines = check({**TREE, "interpose/trap/trap.hpp": "",
                       "interpose/kernel/poll.cpp": '#  include "interpose/trap/trap.hpp"\n'})
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("interpose/kernel may not include interpose/trap", lines[0])

    def test_only_headers_are_included(self):
        self.assert_finds("interpose/trap/more.cpp", '#include "interpose/kernel/read.cpp"\n', "not a header")

    def test_public_headers_show_no_internals(self):
        self.assert_finds("include/tendril/queue.hpp", '#include "runtime/fiber/wait.hpp"\n', "may not include")

    def test_libuv_stays_in_the_hub(self):
        self.assert_finds("runtime/io/socket.cpp", "#include <uv.h>\n", "for runtime/loop only")

    def test_unknown_directory(self):
        self.assert_finds("runtime/misc/misc.cpp", "int x;\n", "not in the tables")

    def test_header_that_is_not_there(self):
        self.assert_finds("runtime/hub/more.cpp", '#include "runtime/hub/gone.hpp"\n', "does not exist")

    def test_long_file(self):
        self.assertEqual(check({**TREE, "runtime/hub/more.cpp": "\n" * 500}), [])
        self.assert_finds("runtime/hub/more.cpp", "\n" * 501, "more than 500 lines", line=501)

    def test_marks_anywhere(self):
        self.assert_finds("docs/page.md", "\n\nTO" "DO later\n", "fix it", line=3)
        self.assertEqual(check({**TREE, "docs/page.md": "mkstemp(\"aXX" "XXXX\"), TO" "DOS\n"}), [])


if __name__ == "__main__":
    CHECK_LAYERS = sys.argv.pop(1)
    unittest.main()
