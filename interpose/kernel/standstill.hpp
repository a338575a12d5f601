// A process in which every green thread waits on a futex: what each waits for, as a graph.
#pragma once

#include <cstddef>

#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/wait_object.hpp"

namespace tendril::kernel {

struct StandingThread {
  int tid = 0;
  char name[16] = {};
  CallSite call_site;
  const void* word = nullptr;  // the futex
  WaitObject object;
  int waits_for = -1;     // index of the thread that object.tid names; -1: none
  bool in_cycle = false;  // on the one cycle that is shown
  uint8_t seen = 0;       // while cycles are looked for
};

// Says that there is none, at little cost, while a thread is not waiting on a futex. On a hub, of
// the only one that looks.
bool may_be_standstill() noexcept;

class Standstill {
 public:
  // Looks at all threads. False if any of them could go on by itself, or memory is short. On a hub;
  // threads that others wake meanwhile are caught in one state or the other.
  bool look() noexcept;
  ~Standstill();

  Standstill() = default;
  Standstill(const Standstill&) = delete;
  Standstill& operator=(const Standstill&) = delete;

  size_t count() const noexcept { return count_; }
  const StandingThread& operator[](size_t index) const noexcept { return threads_[index]; }

  // A thread of a cycle of threads that wait for each other; -1 if there is none.
  int cycle() const noexcept { return cycle_; }

  // True if not even a signal handler could end it: locks have owners that stand, too, or are dead.
  bool is_final() const noexcept { return cycle_ >= 0 || owner_has_ended_; }

  // True if another process could wake one of them: it can see what that one waits on.
  bool reaches_other_processes() const noexcept;

  // The same for the same threads at the same places.
  uint64_t fingerprint() const noexcept;

 private:
  bool take_all() noexcept;
  void find_cycle() noexcept;

  StandingThread* threads_ = nullptr;
  size_t capacity_ = 0;
  size_t count_ = 0;
  int cycle_ = -1;
  bool owner_has_ended_ = false;
};

}  // namespace tendril::kernel
