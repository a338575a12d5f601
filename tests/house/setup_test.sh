#!/usr/bin/env bash
# .ci/setup says nothing and changes nothing where nothing is missing, and refuses what it does not know.
set -euo pipefail
cd "$1"
said=$(.ci/setup all 2>&1)
[[ -z $said ]] || { echo "not quiet: $said"; exit 1; }
status=0
.ci/setup everything 2>/dev/null || status=$?
((status == 2)) || { echo "exit status $status for a bad argument"; exit 1; }

# Without apt-get it names the packages instead of failing obscurely.
bash=$(command -v bash)
status=0
said=$(PATH=/nonexistent "$bash" .ci/setup build 2>&1) || status=$?
[[ $status == 1 && $said == *libuv1-dev* ]] || { echo "exit status $status: $said"; exit 1; }
