#!/usr/bin/env bash
# repeatable.sh TENDRIL STEPS: the same seed gives the same order of steps, others give others.
set -euo pipefail
tendril=$1 steps=$2
declare -A orders
for seed in 1 2 3 4 5; do
  first=$(timeout -s KILL 20 "$tendril" --seed "$seed" -- "$steps")
  for _ in 2 3 4 5; do
    again=$(timeout -s KILL 20 "$tendril" --seed "$seed" -- "$steps")
    [[ $again == "$first" ]] || { echo "seed $seed: $first, then $again"; exit 1; }
  done
  orders[$first]=$seed
done
((${#orders[@]} > 2)) || { echo "5 seeds gave ${#orders[@]} orders"; exit 1; }
