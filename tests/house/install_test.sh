#!/usr/bin/env bash
# What is installed works from its prefix, wherever that is.
set -euo pipefail
cmake=$1 build=$2 prefix=$3
rm -rf "$prefix"
"$cmake" --install "$build" --prefix "$prefix" >"$prefix.log" || { cat "$prefix.log"; exit 1; }
[[ -e $prefix/include/tendril/tendril.hpp ]] || { echo "no header"; exit 1; }
said=$("$prefix/bin/tendril" -- /bin/echo installed)
[[ $said == installed ]] || { echo "tendril printed '$said'"; exit 1; }
rm -rf "$prefix"
