// Waiting for another OS thread that is about to do something, for a few instructions as a rule.
//
// First by `pause`, then by sched_yield, for it may have no processor; and when that has not helped
// either, by sleeping: a thread of a real-time class that yields does not let one of a lower
// priority run, which may be the one it waits for.
#pragma once

#include <linux/futex.h>
#include <time.h>

#include <cstdint>

#include "runtime/platform/syscall.hpp"

namespace tendril::rt {

class Backoff {
 public:
  void pause() noexcept {
    if (nap_ == kFirstNap && ++rounds_ % kSpinsBeforeYield != 0) {
      asm volatile("pause");
    } else {
      yield();
    }
  }

  // Where it is known to take longer than a few instructions.
  void yield() noexcept {
    if (++yields_ <= kYieldsBeforeSleep) {
      raw_syscall(SYS_sched_yield);
    } else {
      // Nobody wakes us; by a call that the runtime needs anyway, for a seccomp filter may know it.
      const timespec moment{0, nap_};
      const uint32_t word = 0;
      raw_syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, word, &moment, nullptr, 0);
      if (nap_ < kLongestNap) nap_ *= 2;
    }
  }

 private:
  static constexpr unsigned kSpinsBeforeYield = 200;
  static constexpr unsigned kYieldsBeforeSleep = 20;
  // Each longer than the one before: several of a high priority that woke every few microseconds
  // would leave nothing of the processors to whom they wait for.
  static constexpr long kFirstNap = 20'000;
  static constexpr long kLongestNap = 128 * kFirstNap;
  unsigned rounds_ = 0;
  unsigned yields_ = 0;
  long nap_ = kFirstNap;  // nanoseconds
};

}  // namespace tendril::rt
