// Time inside the runtime: nanoseconds of CLOCK_MONOTONIC, converted at the edges.
#pragma once

#include <time.h>

#include <cstdint>

namespace tendril::rt {

using Nanoseconds = int64_t;

// An absolute point on CLOCK_MONOTONIC; kForever never comes.
using Deadline = int64_t;
inline constexpr Deadline kForever = INT64_MAX;

inline constexpr Nanoseconds kNanosPerSecond = 1'000'000'000;

// The Linux kernel's own clock_gettime, in the vDSO: no system call, no thread-local. Not libc's,
// which the program or something preloaded may have replaced (faked times, sanitizers): deadlines
// are for the Linux kernel, and OS threads of the runtime's have no thread-locals.
using ClockFunction = int(clockid_t, timespec*);
extern ClockFunction* kernel_clock;

inline Nanoseconds clock_now(clockid_t clock) noexcept {
  timespec now;
  kernel_clock(clock, &now);
  return now.tv_sec * kNanosPerSecond + now.tv_nsec;
}

// The CPU time of one kernel thread of this process, in the kernel's encoding of such clocks.
inline clockid_t thread_cpu_clock(int tid) noexcept {
  constexpr unsigned kPerThreadScheduled = 6;
  return static_cast<clockid_t>(~static_cast<unsigned>(tid) << 3 | kPerThreadScheduled);
}

inline Nanoseconds monotonic_now() noexcept { return clock_now(CLOCK_MONOTONIC); }

// Saturates at kForever; a negative duration is a deadline that has passed.
inline Deadline deadline_after(Nanoseconds duration) noexcept {
  Deadline result;
  return __builtin_add_overflow(monotonic_now(), duration, &result) ? kForever : result;
}

// Saturates at kForever for times beyond 292 years.
inline Nanoseconds to_nanoseconds(const timespec& t) noexcept {
  Nanoseconds result;
  if (__builtin_mul_overflow(static_cast<Nanoseconds>(t.tv_sec), kNanosPerSecond, &result) ||
      __builtin_add_overflow(result, static_cast<Nanoseconds>(t.tv_nsec), &result)) {
    return t.tv_sec < 0 ? INT64_MIN : INT64_MAX;
  }
  return result;
}

inline timespec to_timespec(Nanoseconds t) noexcept {
  return {static_cast<time_t>(t / kNanosPerSecond), static_cast<long>(t % kNanosPerSecond)};
}

// Time stamp counter: a few nanoseconds, for budgets only.
inline uint64_t cycle_count() noexcept { return __builtin_ia32_rdtsc(); }

}  // namespace tendril::rt
