#!/usr/bin/env bash
# failures.sh TENDRIL ENDING: a run that fails names its seed on stderr, one that does not does not.
set -uo pipefail
tendril=$1 ending=$2
failed=0
expect() {  # how, status, seed in TENDRIL_SEED or none, what stderr is
  local said status
  said=$(TENDRIL_SEED=$3 timeout -s KILL 20 "$tendril" -- "$ending" "$1" 2>&1)
  status=$?
  if [[ $status != "$2" || $said != "$4" ]]; then
    echo "$1 under seed '$3': status $status, expected $2; stderr '$said', expected '$4'"
    failed=1
  fi
}
ulimit -c 0
expect 0 0 7 ""
expect 3 3 7 "tendril: seed 7"
expect 3 3 "" ""
expect 1 1 18446744073709551615 "tendril: seed 18446744073709551615"
expect abort 134 0 "tendril: seed 0"
expect fault 139 7 "tendril: seed 7"
expect trap 132 7 "tendril: seed 7"
exit $failed
