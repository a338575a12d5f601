#!/bin/bash
# Many seeds of the fuzzer of parsers; stops at the first that a sanitizer complains of.
# usage: many_parsers.sh SEEDS FUZZ_PARSERS
for ((seed = 1000; seed < 1000 + $1; ++seed)); do
  if ! "$2" "$seed" 2000 >/dev/null; then
    echo "failed: $2 $seed 2000"
    exit 1
  fi
done
