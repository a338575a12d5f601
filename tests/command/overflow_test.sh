#!/bin/bash
# A thread whose stack overflows is named on stderr, and the process dies as it would natively.
# usage: overflow_test.sh TENDRIL PROGRAM
set -u
said=$("$1" -- "$2" die 2>&1 >/dev/null)
status=$?
if ((status != 139)); then
  echo "status: expected 139 (SIGSEGV), came $status"
  exit 1
fi
if [[ $said != *"much too deep"* || $said != tendril:* || $said == *$'\n'tendril* ]]; then
  echo "expected one line that names the thread, came: $said"
  exit 1
fi
