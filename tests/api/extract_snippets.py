#!/usr/bin/env python3
"""extract_snippets.py PAGE.md OUTPUT.cpp: makes a test case of each block of C++ in the page."""
import pathlib
import sys

page, output = map(pathlib.Path, sys.argv[1:])
lines = ['#include "docs_prologue.hpp"']
inside = False
for number, line in enumerate(page.read_text().splitlines(), 1):
    if not inside and line == "```cpp":
        inside = True
        lines += [f'TEST_CASE("{page.name}, line {number}") {{', "  CleanIo clean;",
                  f'#line {number + 1} "{page}"']
    elif inside and line == "```":
        inside = False
        lines.append("}")
    elif inside:
        lines.append(line)
output.write_text("\n".join(lines) + "\n")
