#include "interpose/command/environment.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace tendril::command {
namespace {

constexpr char kShim[] = "/opt/tendril/lib/libtendril-interpose.so";

std::string value_of(const Environment& environment, std::string_view name) {
  return std::string(lookup(environment, name).value_or("(unset)"));
}

size_t count(const Environment& environment, std::string_view start) {
  return static_cast<size_t>(
      std::count_if(environment.begin(), environment.end(),
                    [&](const std::string& entry) { return entry.starts_with(start); }));
}

TEST_CASE("the shim comes before the libraries that were preloaded already") {
  Settings settings;
  CHECK(value_of(green_environment({}, kShim, settings), "LD_PRELOAD") == kShim);
  CHECK(value_of(green_environment({"LD_PRELOAD=a.so:/b.so c.so"}, kShim, settings),
                 "LD_PRELOAD") == std::string(kShim) + ":a.so:/b.so:c.so");
}

TEST_CASE("a shim that is preloaded already is not listed twice, and comes first") {
  Environment environment = {"LD_PRELOAD=a.so:" + std::string(kShim) + "::"};
  CHECK(value_of(green_environment(environment, kShim, {}), "LD_PRELOAD") ==
        std::string(kShim) + ":a.so");
}

TEST_CASE("the rseq tunable is appended to the others once, whatever it was") {
  auto tuned = [](const Environment& environment) {
    return value_of(green_environment(environment, kShim, {}), "GLIBC_TUNABLES");
  };
  CHECK(tuned({}) == "glibc.pthread.rseq=0");
  CHECK(tuned({"GLIBC_TUNABLES="}) == "glibc.pthread.rseq=0");
  CHECK(tuned({"GLIBC_TUNABLES=glibc.malloc.arena_max=1"}) ==
        "glibc.malloc.arena_max=1:glibc.pthread.rseq=0");
  CHECK(tuned({"GLIBC_TUNABLES=glibc.pthread.rseq=0"}) == "glibc.pthread.rseq=0");
  CHECK(tuned({"GLIBC_TUNABLES=glibc.pthread.rseq=1:glibc.malloc.check=1"}) ==
        "glibc.malloc.check=1:glibc.pthread.rseq=0");
}

TEST_CASE("the settings are passed in one normal form") {
  Settings settings;
  settings.workers = 3;
  settings.stack_bytes = 65536;
  settings.stats = true;
  Environment green = green_environment(
      {"TENDRIL_WORKERS=9", "TENDRIL_STACK_SIZE=1M", "TENDRIL_VERBOSE=1"}, kShim, settings);
  CHECK(value_of(green, "TENDRIL_WORKERS") == "3");
  CHECK(value_of(green, "TENDRIL_STACK_SIZE") == "65536");
  CHECK(value_of(green, "TENDRIL_STATS") == "1");
  CHECK(value_of(green, "TENDRIL_VERBOSE") == "(unset)");
  CHECK(value_of(green_environment(green, kShim, {}), "TENDRIL_STACK_SIZE") == "(unset)");
}

TEST_CASE("the library of switch points is preloaded under a seed only") {
  Settings settings;
  settings.seed = 7;
  const std::string switchpoints = "/opt/tendril/lib/libtendril-switchpoints.so";
  Environment green = green_environment({"LD_PRELOAD=a.so"}, kShim, settings);
  CHECK(value_of(green, "LD_PRELOAD") == std::string(kShim) + ":" + switchpoints + ":a.so");
  CHECK(value_of(green, "TENDRIL_SEED") == "7");
  green = green_environment(green, kShim, {});
  CHECK(value_of(green, "LD_PRELOAD") == std::string(kShim) + ":a.so");
  CHECK(value_of(green, "TENDRIL_SEED") == "(unset)");
}

TEST_CASE("a variable that is there twice is there once afterwards, and others are left alone") {
  Environment green = green_environment(
      {"LD_PRELOAD=a.so", "HOME=/h", "LD_PRELOAD=b.so", "LD_PRELOADED=x", "odd"}, kShim, {});
  CHECK(count(green, "LD_PRELOAD=") == 1);
  CHECK(value_of(green, "HOME") == "/h");
  CHECK(value_of(green, "LD_PRELOADED") == "x");
  CHECK(count(green, "odd") == 1);
}

}  // namespace
}  // namespace tendril::command
