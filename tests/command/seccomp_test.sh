#!/bin/bash
# A seccomp filter that green threads could not live under is reported, whenever it is installed.
# Nor may one that was there before stop green threads without a word.
# usage: seccomp_test.sh TENDRIL PROGRAM KILLED_PROGRAM
set -u
epoll_pwait2=441
failed=0
expect() {  # what, expected, came
  if [[ $2 != "$3" ]]; then
    printf '%s:\nexpected: %s\ncame: %s\n' "$1" "$2" "$3"
    failed=1
  fi
}
expect "in a green process" \
  "tendril: the seccomp filter of this program forbids epoll_pwait2, which green threads need: it was not installed (EINVAL)
22
status 0" "$("$1" -- "$2" $epoll_pwait2 late 2>&1; echo "status $?")"
expect "before the first thread" \
  "0
tendril: cannot run this process green: its seccomp filter forbids epoll_pwait2
status 126" "$("$1" -- "$2" $epoll_pwait2 early 2>&1; echo "status $?")"
expect "a kill by a filter from before the first thread" \
  "tendril: a seccomp filter that this process has had since before its first thread has killed an OS thread that others need
status 159" "$( (ulimit -c 0; exec "$1" -- "$3" early) 2>&1; echo "status $?")"
exit $failed
