#!/usr/bin/env bash
# The C++ example of README.md compiles as it stands, and prints what its comment says.
set -euo pipefail
source=$1 build=$2 work=$3
rm -rf "$work"
mkdir -p "$work"
sed -n '/^```cpp$/,/^```$/{/^```/d;p}' "$source/README.md" >"$work/example.cpp"
expected=$(sed -nE 's/.*cout.*\/\/ ([^:]+):.*/\1/p' "$work/example.cpp")
[[ -n $expected ]] || { echo "README.md has no example that says what it prints"; exit 1; }
g++ -std=c++20 -I "$source/include" "$work/example.cpp" -o "$work/example" \
  -L "$build/lib" -ltendril -Wl,-rpath,"$build/lib"
printed=$("$work/example")
[[ $printed == "$expected" ]] || { echo "printed '$printed' instead of '$expected'"; exit 1; }
