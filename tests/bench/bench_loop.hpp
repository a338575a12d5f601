// What the fiber benchmarks share: a timed loop, memory of the own process, the command line.
#pragma once

#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <string>

#include "process_usage.hpp"

namespace bench {

/// The CPU time of the process: what else runs on the machine does not count.
inline double cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec * 1e9 + now.tv_nsec;
}

/// Nanoseconds of CPU that one call of `pass` takes: it is called in groups of `group`, after one
/// group to warm up, in 30 windows of 10 ms, of which the fastest counts: in the others a busy
/// hyperthread or cold caches after somebody else's turn are measured as well.
template <typename Pass>
double ns_per_pass(int group, Pass pass) {
  constexpr int kWindows = 30;
  constexpr double kWindow = 1e7;
  for (int i = 0; i < group; ++i) pass();
  double least = 0;
  for (int window = 0; window < kWindows; ++window) {
    const double began = cpu_ns();
    double ended = began;
    long passes = 0;
    do {
      for (int i = 0; i < group; ++i) pass();
      passes += group;
      ended = cpu_ns();
    } while (ended - began < kWindow);
    const double ns = (ended - began) / passes;
    if (window == 0 || ns < least) least = ns;
  }
  return least;
}

inline void print(const char* metric, double value) { std::printf("%s=%.1f\n", metric, value); }

inline long own_kb() { return demos::memory_of(getpid()).total_kb(); }

using Benchmarks = std::map<std::string, void (*)()>;
using CountBenchmarks = std::map<std::string, void (*)(std::size_t)>;

/// The command line: `program NAME`, or `program NAME N` for those that are about a number.
inline int main(int argc, char** argv, const Benchmarks& benchmarks,
                const CountBenchmarks& count_benchmarks) {
  const std::string name = argc > 1 ? argv[1] : "";
  const long count = argc > 2 ? std::atol(argv[2]) : 0;
  try {
    if (const auto found = benchmarks.find(name); found != benchmarks.end()) {
      found->second();
      return 0;
    }
    const auto found = count_benchmarks.find(name);
    if (found != count_benchmarks.end() && count > 0) {
      found->second(static_cast<std::size_t>(count));
      return 0;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s %s: %s\n", argv[0], name.c_str(), error.what());
    return 1;
  }
  std::fprintf(stderr, "usage: %s NAME [N], with one of", argv[0]);
  for (const auto& [known, function] : benchmarks) std::fprintf(stderr, " %s", known.c_str());
  for (const auto& [known, function] : count_benchmarks) {
    std::fprintf(stderr, " \"%s N\"", known.c_str());
  }
  std::fprintf(stderr, "\n");
  return 2;
}

}  // namespace bench
