#!/bin/bash
# The tester's own test: a wrong result must be found and the program made as small as it can be.
# usage: tester_test.sh compare.py --program PROGRAM --tendril TENDRIL
set -u

output=$("$@" --first 1 --count 40 --variants one --most 1 --lie-about pipe2)
status=$?
failed=0
if [ $status -ne 1 ]; then
  echo "exit status: expected 1, came $status"
  failed=1
fi
if ! grep -q '^seed [0-9]* differs (one)$' <<<"$output"; then
  echo "no seed was named"
  failed=1
fi
# Of the program, nothing but the call that is lied about is left.
steps=$(sed -n 's/^again: .* --steps \([0-9,]*\) .*/\1/p' <<<"$output")
if ! [[ $steps =~ ^[0-9]+$ ]]; then
  echo "steps left: expected one, came '$steps'"
  failed=1
fi
if ! grep -q '^+.*(a lie)$' <<<"$output" || [ "$(grep -c 'thread [0-9]*: ' <<<"$output")" -ne 1 ]; then
  echo "the smallest program is not the call alone"
  failed=1
fi
[ $failed -eq 0 ] || echo "$output"
exit $failed
