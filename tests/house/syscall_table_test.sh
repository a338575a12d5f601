#!/bin/bash
# .ci/syscall_table finds what it is there to find.
# usage: syscall_table_test.sh SOURCE_DIR
set -u
source=$1
box=$(mktemp -d) || exit 1
trap 'rm -rf "$box"' EXIT
mkdir -p "$box/interpose/kernel" "$box/docs"
table=$box/interpose/kernel/syscalls.def
failed=0

check() { "$source/.ci/syscall_table" --check --root "$box" --headers "$box/unistd.h" 2>&1; }
finds() {  # what, part of the message
  local said
  if said=$(check) || [[ $said != *"$2"* ]]; then
    printf '%s: expected "%s", came: %s\n' "$1" "$2" "$said"
    failed=1
  fi
}

cp "$source/interpose/kernel/syscalls.def" "$table"
cp "$source/docs/syscalls.md" "$box/docs/"
printf '#define __NR_read 0\n#define __NR_write 1\n' >"$box/unistd.h"
if ! said=$(check); then
  echo "the page as it is: $said"
  failed=1
fi
sed -i 's/"the lock of all locks/"some lock/' "$table"
finds "another reason" "out of date"
"$source/.ci/syscall_table" --root "$box" || failed=1
check >/dev/null || { echo "a page just written is out of date"; failed=1; }
echo '#define __NR_newcomer 9999' >>"$box/unistd.h"
finds "a call that is not listed" "system call 9999, newcomer"
sed -i 's/^ROW(1, write, kGreen, sys_write/ROW(1, write, kGreen, nullptr/' "$table"
finds "a green call without a function" "a function for green"
sed -i 's/^ROW(1, .*$/ROW(1, write, kPass, nullptr, no quotes)/' "$table"
finds "a broken row" "not a row"
exit $failed
