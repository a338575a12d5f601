// Threads that make calls, one at a time, and the controller's knowledge of whether they wait.
//
// A step is over when its call has returned or the thread waits in it. Whether it waits is told by
// /proc where that knows the thread; elsewhere by time: `settle` is how long a thread that could go
// on is given. Too short a time shows as a difference that goes away with a longer one, so a
// difference counts only if it stays (see compare.py).
#pragma once

#include <semaphore.h>

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "builder.hpp"
#include "handlers.hpp"

namespace differential {

class Performer {
 public:
  explicit Performer(int number);
  int tid() const { return tid_; }
  Room& room() { return room_; }
  Handled& handled() { return handled_; }
  // What it has been told to do and has not ended, as far as the controller has taken notice.
  const Prepared* pending() const { return pending_ ? &*pending_ : nullptr; }

  void start(Prepared call);
  // Waits until the call has ended (true) or waits for somebody (false).
  bool settle(int microseconds);
  // Precondition: settle() was true. Takes the call back; *result as from the kernel.
  Prepared take(long* result);
  // Lets an idle thread run the handlers of signals that were sent to it.
  void settle_idle(int microseconds);

 private:
  enum class Phase : int { kIdle, kTold, kInCall, kDone };
  static void* run(void* self);
  void perform();
  // 'S' and the like; 0 if /proc does not know the thread.
  char state() const;

  const int number_;
  int tid_ = 0;
  int stat_fd_ = -1;
  Room room_;
  Handled handled_;
  std::optional<Prepared> pending_;
  std::atomic<Phase> phase_{Phase::kIdle};
  long result_ = 0;  // written by the thread before kDone
  sem_t go_;
  sem_t ready_;
};

}  // namespace differential
