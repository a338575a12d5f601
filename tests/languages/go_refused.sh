#!/bin/bash
# What becomes of a Go program: refused by the command, native as a child of a green program.
# usage: go_refused.sh TENDRIL PROGRAM
set -u
tendril=$1
program=$2
failed=0

expect() {  # what, expected, came
  if [[ $2 != "$3" ]]; then
    printf '%s:\nexpected: %s\ncame: %s\n' "$1" "$2" "$3"
    failed=1
  fi
}

expect "natively" "sum 4950" "$("$program" 2>&1)"
said=$("$tendril" "$program" 2>&1)
expect "the status of the command" 126 $?
[[ $said == "tendril: $program: is a Go program, "* ]] || expect "the command" "a refusal" "$said"
expect "as a child" "sum 4950" "$("$tendril" sh -c '"$1"; exit $?' sh "$program" 2>&1)"
expect "as a child, with --verbose" "tendril: $program: is a Go program; it runs native" \
  "$("$tendril" --verbose sh -c '"$1"; exit $?' sh "$program" 2>&1 >/dev/null | sed 1d)"
exit $failed
