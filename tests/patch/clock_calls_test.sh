#!/usr/bin/env bash
# The vDSO's own system calls come by patched sites, not by the trap.
#
# usage: clock_calls_test.sh TENDRIL PROGRAM
set -euo pipefail
said=$("$1" --stats -- "$2" 2>&1)
grep -qx asked <<<"$said" || { echo "failed: $said"; exit 1; }
patched=$(sed -n 's/.* patch \([0-9]*\),.*/\1/p' <<<"$said")
trapped=$(sed -n 's/.* trap \([0-9]*\),.*/\1/p' <<<"$said")
echo "patch $patched, trap $trapped"
((patched >= 1000 && trapped < 100))
