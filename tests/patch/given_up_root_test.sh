#!/usr/bin/env bash
# The system calls of a process that may not write to its code come by patched sites all the same.
#
# usage: given_up_root_test.sh TENDRIL PROGRAM
set -euo pipefail
said=$("$1" --stats -- "$2" 2>&1)
# The child says it first, which is as patched as its parent.
patched=$(sed -n 's/.* patch \([0-9]*\),.*/\1/p' <<<"$said" | tail -n 1)
trapped=$(sed -n 's/.* trap \([0-9]*\),.*/\1/p' <<<"$said" | tail -n 1)
echo "patch $patched, trap $trapped"
((patched >= 1000 && trapped < 100))
