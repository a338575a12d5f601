#!/usr/bin/env bash
# verdicts.sh TENDRIL STANDING WORKERS: standstills are told, with who waits for what and where;
# programs that go on are left alone.
set -uo pipefail
tendril=$1 standing=$2 workers=$3
failed=0

fail() {
  echo "$1; stderr:"
  cat "$errors"
  failed=1
}

# dead HOW REGEX...: ends with the status of deadlocks, and each expression matches a line of stderr.
dead() {
  local how=$1 said status
  shift
  said=$(timeout -s KILL 30 "$tendril" --workers "$workers" --on-deadlock=exit -- "$standing" "$how" 2>"$errors")
  status=$?
  ((status == 98)) || fail "$how: status $status, expected 98"
  [[ $said == begun ]] || fail "$how: stdout '$said', expected the program's own only"
  for line in "$@"; do
    grep -Eq "$line" "$errors" || fail "$how: nothing on stderr like '$line'"
  done
}

# alive HOW: ends by itself, and nothing is said.
alive() {
  local said status
  said=$(timeout -s KILL 30 "$tendril" --workers "$workers" --on-deadlock=exit -- "$standing" "$1" 2>"$errors")
  status=$?
  ((status == 0)) || fail "$1: status $status, expected 0"
  [[ $said == $'begun\nover' ]] || fail "$1: stdout '$said'"
  [[ ! -s $errors ]] || fail "$1: something on stderr"
}

errors=$(mktemp)
trap 'rm -f "$errors"' EXIT
tid='[0-9]+'

dead lock_order \
  'deadlock: nothing can wake any of 3 threads' \
  "thread $tid \"first\" waits for the mutex at 0x[0-9a-f]+, held by thread $tid \"second\"" \
  "thread $tid \"second\" waits for the mutex at 0x[0-9a-f]+, held by thread $tid \"first\"" \
  "thread $tid \"standing\" waits for the end of thread $tid \"first\"" \
  "cycle: ($tid) -> $tid -> \\1\$" \
  "stack of thread $tid \"first\"" \
  '#[0-9]+ 0x[0-9a-f]+ in take_a_then_b at .*standing\.c:[0-9]+' \
  '#[0-9]+ 0x[0-9a-f]+ in take_b_then_a at .*standing\.c:[0-9]+' \
  '#[0-9]+ 0x[0-9a-f]+ in main at .*standing\.c:[0-9]+'
dead handled_lock_order "cycle: ($tid) -> $tid -> \\1\$"
dead without_main 'can wake any of 2 threads' "cycle: ($tid) -> $tid -> \\1\$"
dead self_lock \
  "thread $tid \"standing\" waits for the mutex at 0x[0-9a-f]+, held by thread $tid \"standing\", itself" \
  "cycle: ($tid) -> \\1\$" \
  'in lock_twice at'
dead join_cycle "cycle: ($tid) -> $tid -> \\1\$" 'in join_main at'
dead lost_signal \
  'can wake the only thread' \
  'waits for the condition at 0x[0-9a-f]+$' \
  'in wait_for_ready at'
dead semaphore 'waits for the semaphore at 0x[0-9a-f]+$' 'in wait_for_slot at'
dead dead_owner "waits for the mutex at 0x[0-9a-f]+, held by thread $tid, which has ended"
dead rwlock "waits for the read-write lock at 0x[0-9a-f]+, held by thread $tid \"standing\""
# The same from the trap alone.
TENDRIL_PATCH=0 dead lock_order "cycle: ($tid) -> $tid -> \\1\$" 'in take_a_then_b at'

for how in sleeper deadline socket sigwait pause handler alarm timer child file_lock \
  shared_semaphore; do
  alive "$how"
done

# By default it is told, once, and the process goes on standing.
timeout -s TERM 2 "$tendril" --workers "$workers" -- "$standing" lock_order >/dev/null 2>"$errors"
(($? == 124)) || fail "a reported standstill ended"
(($(grep -c 'tendril: deadlock' "$errors") == 1)) || fail "not told once"

exit $failed
