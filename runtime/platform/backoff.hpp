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
    if (++rounds_ % kSpinsBeforeYield != 0) {
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
      constexpr timespec kMoment{0, 20'000};
      const uint32_t word = 0;
      raw_syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, word, &kMoment, nullptr, 0);
    }
  }

 private:
  static constexpr unsigned kSpinsBeforeYield = 200;
  static constexpr unsigned kYieldsBeforeSleep = 20;
  unsigned rounds_ = 0;
  unsigned yields_ = 0;
};

}  // namespace tendril::rt
