// Many sleepers at once, each of them three times for a random time: how late they wake, and how
// much CPU it takes.
#pragma once

#include <cstdint>
#include <ctime>
#include <random>

#include "bench_loop.hpp"
#include "latency_histogram.hpp"

namespace bench {

inline std::int64_t now_ns(clockid_t clock = CLOCK_MONOTONIC) {
  timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * std::int64_t{1'000'000'000} + time.tv_nsec;
}

class Sleepers {
 public:
  static constexpr int kSleepsEach = 3;

  /// Nanoseconds, evenly from 0 to 1 s.
  std::int64_t next_length() { return std::uniform_int_distribution(0, 999'999'999)(random_); }

  void woke(std::int64_t due) {
    const std::int64_t late = now_ns() - due;
    if (late < 0) ++early_;
    lateness_.add(late);
  }

  void report() const {
    print("sleepers_cpu_ms", now_ns(CLOCK_PROCESS_CPUTIME_ID) * 1e-6);
    print("sleepers_p99_late_us", lateness_.quantile_ns(0.99) * 1e-3);
    print("sleepers_early", static_cast<double>(early_));
  }

 private:
  std::minstd_rand random_{1};
  demos::LatencyHistogram lateness_;
  std::uint64_t early_ = 0;
};

}  // namespace bench
