#!/bin/bash
# Runs a program and compares its standard output and its exit status with what is expected.
# usage: run_program.sh EXPECTED_OUTPUT EXPECTED_STATUS program [argument...]
set -u

expected=$1
expected_status=$2
shift 2

output=$(mktemp) || exit 1
trap 'rm -f "$output"' EXIT

"$@" </dev/null >"$output"
status=$?

failed=0
if [ "$status" -ne "$expected_status" ]; then
  echo "exit status: expected $expected_status, came $status"
  failed=1
fi
if ! cmp -s "$expected" "$output"; then
  echo "standard output differs (< expected, > came):"
  diff "$expected" "$output"
  failed=1
fi
exit $failed
