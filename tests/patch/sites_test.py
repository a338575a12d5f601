#!/usr/bin/python3
"""Checks every site of the system's libraries against objdump's reading of the same code.

usage: sites_test.py OBJDUMP LIST_SITES
"""

import re
import subprocess
import sys

# The first must be there; the others are looked at if they are installed.
LIBRARIES = ["libc.so.6", "liburing.so.2", "libgomp.so.1", "libnuma.so.1"]
BRANCH = re.compile(r"^(?:bnd |notrack |data16 |rex\.W )*(?:j\w+|call\w*|loop\w*|xbegin)\s+"
                    r"([0-9a-f]+)\b")
IMMOVABLE = re.compile(r"^(?:bnd |notrack )*(?:j\w+|call\w*|ret\w*|loop\w*|syscall|int3?\b|hlt)"
                       r"|\(%rip\)")

# The displacement ends the instruction, so there is no immediate operand.
NEAR_OPERAND = re.compile(r"^(?!(?:bnd |notrack )*(?:j|call))[^$]*\(%rip\)")

failures = []


def disassemble(objdump, path):
    """Instructions by address, and the targets of direct branches with who goes there."""
    instructions = {}
    targets = {}
    listing = subprocess.run([objdump, "-d", "--wide", path],
                             stdout=subprocess.PIPE, text=True, check=True).stdout
    for line in listing.splitlines():
        parts = line.split("\t")  # ADDRESS:, bytes, text
        if len(parts) != 3:
            continue
        address, text = int(parts[0].rstrip(":"), 16), parts[2].strip()
        instructions[address] = text
        branch = BRANCH.match(text) if " " in text else None
        if branch is not None:
            targets.setdefault(int(branch[1], 16), []).append(address)
    return instructions, targets


def ends_a_thread(instructions, syscall):
    """glibc's loop around exit: the jump behind the system call is never taken."""
    before = [instructions[a] for a in range(syscall - 20, syscall) if a in instructions]
    before = [text for text in before if not re.match(r"nop|xchg\s+%ax,%ax|data16", text)]
    return [re.sub(r"\s+", " ", text) for text in before[-3:]] == [
        "mov $0x3c,%edx", "xor %edi,%edi", "mov %edx,%eax"]


def check(path, found, sites, objdump):
    instructions, targets = disassemble(objdump, path)

    def fail(site, text):
        failures.append(f"{path}: the window {site[0]:x}..{site[1]:x} {text}")

    for window, syscall in sites:
        site = window, syscall
        if instructions.get(syscall) != "syscall":
            fail(site, f"ends before {instructions.get(syscall)!r} instead of a system call")
        if syscall - window < 5:
            fail(site, "has no room for a jump")
        if window not in instructions:
            fail(site, "begins within an instruction")
        inside = [a for a in range(window, syscall) if a in instructions]
        for address in inside:
            if len(inside) == 1 and NEAR_OPERAND.search(instructions[address]):
                continue  # moved with another displacement
            if IMMOVABLE.search(instructions[address]):
                fail(site, f"has an instruction that must not move: {instructions[address]}")
        for address in range(window + 1, syscall):
            for source in targets.get(address, []):
                if source == syscall + 2 and ends_a_thread(instructions, syscall):
                    continue
                fail(site, f"is entered at {address:x} from {source:x}")
    real = sum(1 for text in instructions.values() if text == "syscall")
    if found < real:
        failures.append(f"{path}: {real} system calls, of which {found} were found")
    print(f"{path}: {len(sites)} of {real} system calls can be patched")
    return real


def main():
    objdump, list_sites = sys.argv[1:]
    output = subprocess.run([list_sites, *LIBRARIES], stdout=subprocess.PIPE, text=True,
                            check=True).stdout.splitlines()
    first = True
    while output:
        path, found, usable = output.pop(0).split()
        sites = [tuple(int(part, 16) for part in output.pop(0).split())
                 for _ in range(int(usable))]
        if int(found) == 0:
            continue
        real = check(path, int(found), sites, objdump)
        if first and len(sites) < 0.85 * real:
            failures.append(f"{path}: few of its system calls can be patched")
        first = False
    if first:
        failures.append(f"nothing was read of {LIBRARIES[0]}")
    for failure in failures:
        print("failed:", failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
