#!/usr/bin/env bash
# A build leaves the command and the libraries where README says, and the command starts.
set -euo pipefail
build=$1
libraries=(core interpose switchpoints serve)
for file in bin/tendril lib/libtendril.so "${libraries[@]/#/lib/libtendril-}" lib/tendril-{check,stacks}; do
  [[ $file != lib/libtendril-* ]] || file+=.so
  [[ -e $build/$file ]] || { echo "missing: $file"; exit 1; }
done
# What every green process loads: no C++ runtime, whose loading takes longer than all the rest, and nothing whose names would be
# found before those of what the program opens.
for library in core interpose; do
  needed=$(readelf -dW "$build/lib/libtendril-$library.so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
  [[ $needed == *libc.so* ]] || { echo "what libtendril-$library.so needs cannot be read: $needed"; exit 1; }
  for name in $needed; do
    [[ $name == libc.so.* || $name == libtendril-core.so.* ]] || { echo "libtendril-$library.so needs $name"; exit 1; }
  done
done
# Nor functions that the program may have replaced by its own.
for library in core interpose; do
  strings=$(nm -D --undefined-only "$build/lib/libtendril-$library.so" | sed -n 's/.* U \(\(mem\|str[^t]\|stp\)[^@]*\).*/\1/p' | tr '\n' ' ')
  [[ -z $strings ]] || { echo "libtendril-$library.so calls ${strings}of the program: see runtime/platform/string_functions.cpp"; exit 1; }
done
# And next to nothing is done when they are loaded: every program that is started pays for it, in page faults above all.
for library in core interpose; do
  constructors=$(nm "$build/lib/libtendril-$library.so" | sed -n 's/.* t _GLOBAL__sub_I_//p')
  for constructor in $constructors; do
    [[ $constructor =~ ^(process|thread_registers)\.cpp$ ]] ||
      { echo "libtendril-$library.so has a static initialiser: $constructor"; exit 1; }
  done
done
# An empty entry would be the current folder, whatever that is.
for file in "$build/bin/tendril" "$build"/lib/libtendril*.so; do
  path=$(readelf -dW "$file" | sed -n 's/.*(RUNPATH).*\[\(.*\)\]/\1/p')
  [[ -z $path || $path == "\$ORIGIN" ]] || { echo "$file looks for libraries in '$path'"; exit 1; }
done
"$build/bin/tendril" --version
