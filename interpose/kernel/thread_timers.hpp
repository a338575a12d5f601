// POSIX timers that notify a green thread, by the kernel's timer id.
#pragma once

#include "runtime/platform/spin_lock.hpp"

namespace tendril::kernel {

class ThreadTimers {
 public:
  bool add(int timer, int tid) noexcept;  // false when out of memory
  void remove(int timer) noexcept;
  int target(int timer) noexcept;                  // 0: the timer notifies the process
  rt::SpinLock& lock() noexcept { return lock_; }  // held around fork
  void reset_after_fork() noexcept;

 private:
  struct Entry {
    int timer;
    int tid;
    Entry* next;
  };
  rt::SpinLock lock_;
  Entry* first_ = nullptr;  // guarded by lock_
};

ThreadTimers& thread_timers() noexcept;

}  // namespace tendril::kernel
