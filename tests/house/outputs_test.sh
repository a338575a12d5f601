#!/usr/bin/env bash
# A build leaves the command and the libraries where README says, and the command starts.
set -euo pipefail
build=$1
for file in bin/tendril lib/libtendril.so lib/libtendril-interpose.so lib/libtendril-switchpoints.so \
  lib/tendril-stacks; do
  [[ -e $build/$file ]] || { echo "missing: $file"; exit 1; }
done
"$build/bin/tendril" --version
