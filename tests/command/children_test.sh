#!/bin/bash
# Which children of a green program run native, and what is said of it.
# usage: children_test.sh TENDRIL PROBE [STATIC_PROBE...]
set -u
tendril=$1
probe=$2
shift 2
failed=0
box=$(mktemp -d) || exit 1
trap 'rm -rf "$box"' EXIT

expect() {  # what, expected, came
  if [[ $2 != "$3" ]]; then
    printf '%s:\nexpected: %s\ncame: %s\n' "$1" "$2" "$3"
    failed=1
  fi
}

# Runs a child of a shell under tendril; what is said of the shell itself is left out.
said() { "$tendril" --verbose sh -c '"$1" exit 0; exit $?' sh "$@" 2>&1 | sed 1d; }

expect "an ordinary child" "" "$(said "$probe")"
for static in "$@"; do
  expect "a static child" "tendril: $static: is statically linked; it runs native" \
    "$(said "$static")"
done

printf '#! %s exit\n' "${1:-$probe}" >"$box/script"
chmod +x "$box/script"
if (($# > 0)); then
  expect "a script of a static interpreter" \
    "tendril: $box/script: is statically linked; it runs native" "$(said "$box/script")"
fi

if ((EUID == 0)) && cp "$probe" "$box/privileged" && chown 65534 "$box/privileged" &&
  chmod 4755 "$box/privileged"; then
  expect "a set-user-ID child" \
    "tendril: $box/privileged: gains privileges when it is executed; it runs native" \
    "$(said "$box/privileged")"
fi

libraries() { "$tendril" sh -c 'env -i grep -c interpose /proc/self/maps'; }
if [[ $(libraries) == 0 ]]; then
  echo "a child of env -i is not green"
  failed=1
fi
expect "TENDRIL_CHILDREN=0" 0 \
  "$(TENDRIL_CHILDREN=0 "$tendril" sh -c 'grep -c interpose /proc/self/maps')"
# The value is for the children, too.
expect "a setting that a program makes for a child" 3 \
  "$("$tendril" env TENDRIL_WORKERS=3 TENDRIL_VERBOSE=0 "$tendril" --verbose true 2>&1 |
    sed -n 's/.*workers \([0-9]*\),.*/\1/p')"
# The command is static, but it is for what it starts that they are meant.
expect "tendril in a green shell has the settings of the one outside" 3 \
  "$("$tendril" --workers 3 sh -c '"$1" --verbose true' sh "$tendril" 2>&1 |
    sed -n 's/.*workers \([0-9]*\),.*/\1/p')"
expect "tendril check in a green shell" "ok   true" \
  "$("$tendril" sh -c '"$1" check true' sh "$tendril" | sed -n '/^no/p; s/\(ok   true\):.*/\1/p')"
exit $failed
