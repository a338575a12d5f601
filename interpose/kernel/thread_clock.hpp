// CPU time clocks of single threads, as clock ids name them (the kernel's posix-timers_types.h).
#pragma once

#include <time.h>

namespace tendril::kernel {

struct ThreadClock {
  bool is_thread_clock = false;
  int tid = 0;  // 0: the caller's

  explicit constexpr ThreadClock(long id) noexcept {
    constexpr unsigned kPerThread = 4;
    constexpr unsigned kKind = 3;
    constexpr unsigned kDescriptor = 3;  // the clock of a device, not of CPU time
    const auto clock = static_cast<clockid_t>(id);
    if (clock == CLOCK_THREAD_CPUTIME_ID) {
      is_thread_clock = true;
    } else if (const auto bits = static_cast<unsigned>(clock);
               clock < 0 && (bits & kPerThread) != 0 && (bits & kKind) != kDescriptor) {
      is_thread_clock = true;
      tid = ~(clock >> 3);
    }
  }
};

}  // namespace tendril::kernel
