// Signals that are pending for a thread or for the process.
#pragma once

#include <signal.h>

#include <atomic>
#include <cstdint>

namespace tendril::kernel {

constexpr uint64_t signal_bit(int number) noexcept { return uint64_t{1} << (number - 1); }
inline constexpr int kFirstRealTime = 32;
inline constexpr int kLastSignal = 64;

// What is known of a signal besides its siginfo, which the program may make up.
struct SignalMarks {
  bool is_promised = false;    // to the handler that the program had when it came
  bool is_expiration = false;  // of a POSIX timer
};

// Makes one signal of two that a timer has sent.
void add_overruns(siginfo_t* first, const siginfo_t& next) noexcept;

// Standard signals are pending at most once; real-time signals queue up, in order. A POSIX timer
// has one signal at most, of either kind: what else expires while it is pending is an overrun. Not
// thread-safe.
class SignalQueue {
 public:
  uint64_t set() const noexcept { return set_; }

  // False when it was dropped: a standard signal that is pending already. Out of memory degrades as
  // the kernel's does for kill: pending, without its siginfo.
  bool push(const siginfo_t& info, SignalMarks marks = {}) noexcept;
  void push_without_info(int signal) noexcept { set_ |= signal_bit(signal); }

  // The siginfos in all queues of the process, but for those of timers, for which the kernel keeps
  // room when it makes one. Any thread may ask.
  static uint64_t count_all() noexcept { return queued_.load(std::memory_order_relaxed); }
  static void reset_count_after_fork() noexcept { queued_ = 0; }

  // Takes the first pending signal of `wanted`, in the kernel's order: synchronous faults, then by
  // number. 0 if there is none. Says what push was told.
  int pop(uint64_t wanted, siginfo_t* info, SignalMarks* marks = nullptr) noexcept;

  // The one that pop would take, and what push was told of it; 0 if there is none.
  int first(uint64_t wanted, SignalMarks* marks) const noexcept;

  void drop(uint64_t which) noexcept;
  void drop_expirations(int timer) noexcept;

 private:
  struct Entry {
    siginfo_t info;
    SignalMarks marks;
    Entry* next;
  };
  Entry* find_expiration(int timer) noexcept;
  static void free_entry(Entry* entry) noexcept;
  inline static std::atomic<uint64_t> queued_{0};
  Entry* head_ = nullptr;
  Entry* tail_ = nullptr;
  uint64_t set_ = 0;
};

}  // namespace tendril::kernel
