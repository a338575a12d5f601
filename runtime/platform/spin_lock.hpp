// A lock for a few instructions of runtime code.
//
// The holder is in runtime mode: no signal is delivered and no switch made under a lock, so it is
// always running (or was descheduled by the kernel: backoff.hpp).
#pragma once

#include <atomic>

#include "runtime/platform/backoff.hpp"
#include "runtime/platform/runtime_mode.hpp"

namespace tendril::rt {

class SpinLock {
 public:
  void lock() noexcept {
    const bool was_program = enter_runtime_mode();
    if (locked_.exchange(true, std::memory_order_acquire)) [[unlikely]]
      lock_slowly();
    was_program_ = was_program;
  }

  bool try_lock() noexcept {
    const bool was_program = enter_runtime_mode();
    if (locked_.exchange(true, std::memory_order_acquire)) {
      leave_runtime_mode(was_program);
      return false;
    }
    was_program_ = was_program;
    return true;
  }

  void unlock() noexcept {
    const bool was_program = was_program_;
    locked_.store(false, std::memory_order_release);
    leave_runtime_mode(was_program);
  }

  // Whether somebody holds it now, who may let go at once.
  bool locked() const noexcept { return locked_.load(std::memory_order_relaxed); }

  // After fork, in the child: whoever held it does not exist here.
  void reset_after_fork() noexcept { locked_.store(false, std::memory_order_relaxed); }

 private:
  // Out of line: locks are taken where code must be short.
  [[gnu::noinline, gnu::cold]] void lock_slowly() noexcept {
    Backoff backoff;
    do {
      while (locked_.load(std::memory_order_relaxed)) backoff.pause();
    } while (locked_.exchange(true, std::memory_order_acquire));
  }

  std::atomic<bool> locked_{false};
  bool was_program_ = false;  // the holder's mode before; written by the holder
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
