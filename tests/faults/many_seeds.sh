#!/bin/bash
# Random faults by many seeds; those that failed are printed by the injector.
# usage: many_seeds.sh SEEDS INJECT TENDRIL STREAMS RESETS
set -u
seeds=$1 inject=$2 tendril=$3 streams=$4 resets=$5
failed=0
for ((seed = 1000; seed < 1000 + seeds; ++seed)); do
  for slice in 300 10000; do
    export TENDRIL_WORKERS=$((1 + seed % 4)) TENDRIL_SLICE_US=$slice
    one_in=$((4 + seed % 30))
    "$inject" --seed "$seed" --one-in "$one_in" --runtime \
      --faults resources,interrupts,transfers,short -- "$tendril" "$streams" 64 || failed=1
    "$inject" --seed "$seed" --one-in "$one_in" --runtime \
      --faults resources,interrupts,transfers,resets -- "$tendril" "$resets" || failed=1
  done
done
exit $failed
