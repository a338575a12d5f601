#!/bin/bash
# Every system call with bad arguments gives green what it gives natively.
# usage: compare_calls.sh TENDRIL BAD_CALLS FIRST_SEED SEEDS
set -u
tendril=$1 program=$2 first=$3 seeds=$4
native=$(mktemp) && green=$(mktemp) || exit 1
trap 'rm -f "$native" "$green"' EXIT
failed=0
for ((seed = first; seed < first + seeds; ++seed)); do
  "$program" compare "$seed" 2 >"$native" || { echo "natively: status $?"; exit 1; }
  "$tendril" -- "$program" compare "$seed" 2 >"$green" || { echo "green: status $?"; failed=1; }
  if ! cmp -s "$native" "$green"; then
    echo "seed $seed (< natively, > green; bad_calls one $seed ROUND NUMBER shows the arguments):"
    diff "$native" "$green" | head -40
    failed=1
  fi
done
exit $failed
