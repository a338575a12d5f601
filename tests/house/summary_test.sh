#!/usr/bin/env bash
# The last line of tests/run counts as a reader would: what could not run has failed.
set -euo pipefail
source=$1 build=$2
rm -rf "$build"
mkdir -p "$build"
cat >"$build/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(summary NONE)
enable_testing()
add_test(NAME passes COMMAND true)
add_test(NAME passes_too COMMAND echo "<testcase status=\"fail\">")
add_test(NAME fails COMMAND false)
add_test(NAME hangs COMMAND sleep 60)
set_tests_properties(hangs PROPERTIES TIMEOUT 0.1)
add_test(NAME crashes COMMAND sh -c "kill -SEGV $$")
add_test(NAME is_missing COMMAND /nonexistent/program)
add_test(NAME setup COMMAND false)
set_tests_properties(setup PROPERTIES FIXTURES_SETUP fixture)
add_test(NAME needs_setup COMMAND true)
set_tests_properties(needs_setup PROPERTIES FIXTURES_REQUIRED fixture)
add_test(NAME skips COMMAND sh -c "exit 77")
set_tests_properties(skips PROPERTIES SKIP_RETURN_CODE 77)
add_test(NAME is_disabled COMMAND true)
set_tests_properties(is_disabled PROPERTIES DISABLED TRUE)
CMAKE
cmake -S "$build" -B "$build/build" >/dev/null
ctest --test-dir "$build/build" --output-junit "$build/report.xml" >/dev/null 2>&1 || true
counted=$("$source/.ci/count_tests" "$build/report.xml")
[[ $counted == "2 6 2" ]] || { echo "passed, failed, skipped: $counted instead of 2 6 2"; exit 1; }
rm -rf "$build"
