// Whether a hog that others wait for gets anywhere at all.
//
// One that waits in the Linux kernel (for a page that another thread is to provide) and is
// interrupted begins its wait anew, which may take from the others just what they were waiting for:
// who serves a userfaultfd finds the fault gone. So if it has stood still in several runs, each of
// which was interrupted, it is left alone, for longer each time, until it moves or the watchdog
// finds its worker stuck and lets a spare one stand in for it. A single run says nothing: its OS
// thread may have been ready all the time on a machine that has too much to do.
#pragma once

#include <cstdint>

#include "runtime/platform/clock.hpp"

namespace tendril::rt {

// Part of a worker, for the watchdog's OS thread alone. `used` is the processor time of the
// worker's OS thread; a run has a number (HogRun).
class Standstill {
 public:
  void begin_unless_known(uint64_t run, Deadline now, Nanoseconds used) noexcept {
    if (run == run_) return;
    run_ = run;
    counted_ = false;
    patience_ = 0;
    seen(now, used);
  }

  // For so long the run is to be left alone; 0: it may be interrupted.
  Nanoseconds look(uint64_t run, Deadline now, Nanoseconds used) noexcept {
    begin_unless_known(run, now, used);
    const bool moves = (used - used_) * kLeastShare >= now - at_;
    seen(now, used);
    if (moves) {
      in_vain_ = 0;
      patience_ = 0;
    } else if (!counted_) {
      counted_ = true;
      ++in_vain_;
    }
    if (in_vain_ >= kOften) patience_ = next(patience_);
    return patience_;
  }

 private:
  static constexpr Nanoseconds kLeastShare = 10;  // a tenth of a processor
  static constexpr uint32_t kOften = 3;
  static constexpr Nanoseconds kFirst = 1'000'000;
  // Longer than the watchdog's looks are apart: two of them must find the worker stuck.
  static constexpr Nanoseconds kMost = 32'000'000;

  static Nanoseconds next(Nanoseconds patience) noexcept {
    if (patience == 0) return kFirst;
    return patience < kMost ? 2 * patience : kMost;
  }
  void seen(Deadline now, Nanoseconds used) noexcept {
    at_ = now;
    used_ = used;
  }

  uint64_t run_ = UINT64_MAX;
  Deadline at_ = 0;
  Nanoseconds used_ = 0;
  uint32_t in_vain_ = 0;  // runs in a row that stood still
  bool counted_ = false;  // this one
  Nanoseconds patience_ = 0;
};

}  // namespace tendril::rt
