// A lock for a few instructions of runtime code.
//
// Runtime code is never preempted by us and never switches fibers under a lock, so the holder is
// always running (or was descheduled by the kernel, hence the yield after a while).
#pragma once

#include <atomic>

#include "runtime/platform/syscall.hpp"

namespace tendril::rt {

class SpinLock {
 public:
  void lock() noexcept {
    int spins = 0;
    while (locked_.exchange(true, std::memory_order_acquire)) {
      while (locked_.load(std::memory_order_relaxed)) {
        if (++spins > kSpinsBeforeYield) {
          raw_syscall(SYS_sched_yield);
          spins = 0;
        } else {
          asm volatile("pause");
        }
      }
    }
  }

  bool try_lock() noexcept { return !locked_.exchange(true, std::memory_order_acquire); }

  void unlock() noexcept { locked_.store(false, std::memory_order_release); }

  // After fork, in the child: whoever held it does not exist here.
  void reset_after_fork() noexcept { locked_.store(false, std::memory_order_relaxed); }

 private:
  static constexpr int kSpinsBeforeYield = 200;
  std::atomic<bool> locked_{false};
};

// std::lock_guard without <mutex>, whose header pulls in pthread calls.
class SpinGuard {
 public:
  explicit SpinGuard(SpinLock& lock) noexcept : lock_(lock) { lock_.lock(); }
  ~SpinGuard() { lock_.unlock(); }
  SpinGuard(const SpinGuard&) = delete;
  SpinGuard& operator=(const SpinGuard&) = delete;

 private:
  SpinLock& lock_;
};

}  // namespace tendril::rt
