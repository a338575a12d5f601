// What the Linux kernel does not know of the program's POSIX timers, by its timer ids: the green
// thread that one notifies, and the overruns of the signal that the program was given last. The
// kernel's own count is that of the signal that *we* were given last, which may still be pending
// here.
#pragma once

#include <cstdint>

#include "runtime/platform/spin_lock.hpp"

namespace tendril::kernel {

class PosixTimers {
 public:
  // False when out of memory.
  bool set_target(int timer, int tid) noexcept;
  int target(int timer) noexcept;  // 0: the timer notifies the process

  // The kernel has given us a signal of it. From here on we count.
  void note_arrival(int timer, int signal) noexcept;
  // The program has been given one.
  void note_delivery(int timer, int overruns) noexcept;
  // Of the latest that was delivered. False if the kernel's count is right: none has come to us, or
  // its signal is one of those that are left to the kernel now.
  bool overruns(int timer, uint64_t left_to_kernel, int* count) noexcept;

  void remove(int timer) noexcept;

  rt::SpinLock& lock() noexcept { return lock_; }  // held around fork
  void reset_after_fork() noexcept;

 private:
  struct Entry {
    int timer;
    int tid;
    int signal;  // what it sends; 0: none has come
    int overruns;
    Entry* next;
  };
  Entry* find(int timer) noexcept;          // precondition: lock_
  Entry* find_or_make(int timer) noexcept;  // precondition: lock_; null when out of memory

  rt::SpinLock lock_;
  Entry* first_ = nullptr;  // guarded by lock_
};

PosixTimers& posix_timers() noexcept;

}  // namespace tendril::kernel
