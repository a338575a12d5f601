// A blocking open file made non-blocking for the moment of one call, for calls that have no "do not
// wait" flag of their own: sendfile, connect, splice with a socket. Only where no other process
// sees the open file.
#pragma once

#include <cstddef>

#include "interpose/kernel/descriptors.hpp"
#include "runtime/platform/spin_lock.hpp"

namespace tendril::kernel {

class NonblockingMoment {
 public:
  // Two threads at the same open file come one after another: who ends first would make it blocking
  // again under the other, which would then keep its worker waiting.
  NonblockingMoment(int fd, const Facts& facts) noexcept;
  ~NonblockingMoment();
  NonblockingMoment(const NonblockingMoment&) = delete;
  NonblockingMoment& operator=(const NonblockingMoment&) = delete;

 private:
  const int fd_;
  rt::SpinGuard guard_;
};

// Held around fork: one lock for many descriptors.
inline constexpr size_t kNonblockingMoments = 64;
rt::SpinLock& nonblocking_moment_lock(size_t number) noexcept;
void nonblocking_moments_reset_after_fork() noexcept;

}  // namespace tendril::kernel
