#!/usr/bin/env bash
# The project configures with another generator than the presets', in any folder, and knows its targets.
set -euo pipefail
cmake=$1 source=$2 build=$3
rm -rf "$build"
"$cmake" -S "$source" -B "$build" -G "Unix Makefiles" >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
targets=$(make -C "$build" help)
for target in tendril tendril_interpose tendril_command; do
  grep -q "\.\.\. $target\$" <<<"$targets" || { echo "no target $target"; exit 1; }
done
rm -rf "$build"
