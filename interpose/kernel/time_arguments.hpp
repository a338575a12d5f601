// Time limits as system calls take them, turned into deadlines.
#pragma once

#include <time.h>

#include <cerrno>

#include "interpose/kernel/user_memory.hpp"
#include "runtime/platform/clock.hpp"

namespace tendril::kernel {

constexpr bool is_valid(const timespec& t) noexcept {
  return t.tv_sec >= 0 && t.tv_nsec >= 0 && t.tv_nsec < rt::kNanosPerSecond;
}

// The limit of a wait: a span of time, or null for none. 0, -EFAULT or -EINVAL.
inline long load_limit(const timespec* limit, rt::Deadline* deadline) noexcept {
  *deadline = rt::kForever;
  if (limit == nullptr) return 0;
  timespec span;
  if (copy_in(&span, limit) != 0) return -EFAULT;
  if (!is_valid(span)) return -EINVAL;
  *deadline = rt::deadline_after(rt::to_nanoseconds(span));
  return 0;
}

// A point on another clock, as a deadline. A clock that is set while the wait lasts is not noticed.
inline rt::Deadline deadline_of_absolute(const timespec& t, clockid_t clock) noexcept {
  const rt::Nanoseconds point = rt::to_nanoseconds(t);
  if (clock == CLOCK_MONOTONIC || point == rt::kForever) return point;
  return rt::deadline_after(point - rt::clock_now(clock));
}

// Time left until the deadline, never negative.
inline rt::Nanoseconds time_left(rt::Deadline deadline) noexcept {
  const rt::Nanoseconds left = deadline - rt::monotonic_now();
  return left > 0 ? left : 0;
}

inline rt::Deadline deadline_of_milliseconds(int ms) noexcept {
  return ms < 0 ? rt::kForever : rt::deadline_after(ms * rt::Nanoseconds{1'000'000});
}

}  // namespace tendril::kernel
