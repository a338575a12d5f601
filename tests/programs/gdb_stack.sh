#!/bin/bash
# Does gdb show who called, from within a patched system call of unwind_calls?
# usage: gdb_stack.sh tendril program
set -u

commands=$(mktemp) || exit 1
trap 'rm -f "$commands"' EXIT
cat >"$commands" <<'GDB'
set pagination off
set breakpoint pending on
handle SIGSYS nostop noprint pass
handle SIGSEGV nostop noprint pass
break tendril_patched_call if $rdi && *((long*)$rdi + 5) == 0
run
bt
kill
GDB

output=$(timeout -s KILL 50 gdb -nx -batch -x "$commands" --args "$1" --workers 1 -- "$2" 2>&1 </dev/null)
position=0
for function in tendril_patched_call tendril_patched_entry own_read busy; do
  if ! grep -qE "^#$position .*\b$function\b" <<<"$output"; then
    echo "frame $position is not $function:"
    echo "$output"
    exit 1
  fi
  position=$((position + 1))
done
