// What the Linux kernel does not know of the program's POSIX timers, by its timer ids: the green
// thread that one notifies, the one whose CPU time it goes by, and the overruns of the signal that
// the program was given last. The kernel's own count is that of the signal that *we* were given
// last, which may still be pending here.
#pragma once

#include <climits>
#include <cstdint>

#include "runtime/platform/spin_lock.hpp"

namespace tendril::kernel {

class PosixTimers {
 public:
  // `tid`: the thread that it notifies; 0: the process. `clock_tid`: whose CPU time it goes by; 0:
  // another clock. False when out of memory.
  bool add(int timer, int tid, int clock_tid) noexcept;
  void remove(int timer) noexcept;
  // The same of a timer that has sent a signal; kGone: it has been deleted, and what it has sent is
  // nobody's any more.
  static constexpr int kGone = -1;
  int target(int timer) noexcept;
  int clock_of(int timer) noexcept;

  // The kernel has given us a signal of it. From here on we count.
  void note_arrival(int timer, int signal) noexcept;
  // The program has been given one.
  void note_delivery(int timer, int overruns) noexcept;
  // Of the latest that was delivered. False if the kernel's count is right: none has come to us, or
  // its signal is one of those that are left to the kernel now.
  bool overruns(int timer, uint64_t left_to_kernel, int* count) noexcept;

  rt::SpinLock& lock() noexcept { return lock_; }  // held around fork
  void reset_after_fork() noexcept;

 private:
  struct Entry {
    int timer;
    int tid;
    int clock_tid;
    int signal;  // what it sends; 0: none has come
    int overruns;
    Entry* next;
  };
  Entry* find(int timer) noexcept;  // precondition: lock_
  bool is_older(int timer) const noexcept { return timer < first_made_; }

  rt::SpinLock lock_;
  Entry* first_ = nullptr;  // guarded by lock_
  // The kernel's numbers go up: lower ones are of timers made before the process became green, of
  // which nothing is known. Guarded by lock_.
  int first_made_ = INT_MAX;
};

PosixTimers& posix_timers() noexcept;

}  // namespace tendril::kernel
