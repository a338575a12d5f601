// Who computes gives way to who is woken.
//
// A fiber that has used up a time slice is one that computes (a hog): it runs when nobody else
// wants to, and goes on doing so for as long as a slice. While every worker is busy, nobody sleeps
// in the set of the group, so nobody sees readiness or the clock before a slice ends. Here the
// watchdog's OS thread does, for as long as a hog runs and no worker sleeps: it waits until the set
// has something to tell or a timer is due, and interrupts a hog's worker, whose hub looks around.
// The hog is then the first to go on when nobody else wants to any more. The same when a fiber that
// is ready stands behind one that goes on and on, though that is none that computes: the hog's
// worker takes it over.
//
// A hog runs for a moment at least before it is interrupted, longer if those who are woken have
// kept it waiting: neither thousands of events a second nor threads that always have something to
// do stop it for good. One that gets nowhere is left alone (standstill.hpp).
//
// Nothing of this costs anything while nobody has computed for a time slice.
#pragma once

#include <atomic>
#include <cstdint>

#include "runtime/platform/clock.hpp"

namespace tendril::rt {

class Worker;
class WorkerGroup;

class WakePreemption {
 public:
  // The worker goes on with a hog at its next switch. `owed`: others are kept waiting for that. On
  // its own OS thread.
  void hog_goes_on(WorkerGroup& group, Worker& worker, bool owed) noexcept;

  // Something was made ready that no worker has in its queues. Any thread.
  void work_came(WorkerGroup& group) noexcept;

  // --- by the watchdog's OS thread ---

  // Looks after the hogs for so long, or rests until there are any.
  void watch(WorkerGroup& group, int own_tid, Nanoseconds length) noexcept;

  void reset_after_fork() noexcept;

 private:
  // How often to look whether the last sleeper has been woken, who would have to say so each time,
  // and may be back in a moment.
  static constexpr Nanoseconds kBetweenGlances = 500'000;
  // The same where glances find nobody to interrupt: each costs a core some 30 µs in a machine
  // where timers are dear.
  static constexpr Nanoseconds kBetweenIdleGlances = 2'000'000;

  Worker* interruptible_hog(WorkerGroup& group) const noexcept;
  bool others_come_and_go(WorkerGroup& group) noexcept;
  bool somebody_waits_behind_others(WorkerGroup& group, Deadline now) noexcept;
  static Deadline end_of_turn(WorkerGroup& group, Worker** whose) noexcept;
  bool watch_hogs(WorkerGroup& group, Deadline end) noexcept;
  static Nanoseconds look_at_standstill(Worker& worker) noexcept;
  bool wait_for_work(WorkerGroup& group, Deadline until) noexcept;
  void look_again() noexcept;

  std::atomic<uint32_t> watches_{0};  // futex: 0 while it rests
  std::atomic<Deadline> watches_until_{0};
  std::atomic<int> watcher_tid_{0};
  uint64_t switches_of_others_ = 0;  // the watchdog's, as the next
  int quiet_glances_ = 0;
  Nanoseconds between_glances_ = kBetweenGlances;
  Deadline next_glance_ = 0;
  volatile int called_ = 0;  // ends the wait, see interruptible_call
};

}  // namespace tendril::rt
