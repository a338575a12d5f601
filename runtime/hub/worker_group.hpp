// Workers that share their fibers: M green threads on N OS threads.
//
// Every worker has its own queues, timers and hub; all wait for the same readiness set. A fiber
// that is woken runs on its waker's worker, so that two that talk to each other stay together.
// Preempted ones go through one queue of the group, so that all processors share all hogs. A worker
// with nothing to do takes from the others.
//
// To tell a sleeping worker of every fiber that becomes ready would cost more than running it:
// usually its waker parks a moment later. So one idle worker, the watcher, looks at the others in
// short ticks while any has fibers waiting, and takes them if they have been waiting for a tick or
// are many. Nobody watches while nothing waits; the first to leave something waiting rings for a
// watcher.
//
// When workers are stuck in the kernel, spare ones beyond the limit stand in for them: the watchdog
// says how many (watchdog.hpp). When they are not needed any more they hand over what they have and
// stand by.
//
// The first worker is an OS thread of the program's; the others are bare (bare_thread.hpp), made
// when there is something for them to do.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/fiber/run_queue.hpp"
#include "runtime/hub/convoy.hpp"
#include "runtime/hub/wake_preemption.hpp"
#include "runtime/hub/watchdog.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/platform/clock.hpp"
#include "runtime/platform/spin_lock.hpp"

namespace tendril::rt {

class WorkerGroup {
 public:
  static constexpr size_t kMostWorkers = 256;
  static constexpr size_t kMostSpares = 16;

  // On the new worker's OS thread before it runs any fiber: arms the front ends. False, and nothing
  // changed, for want of memory or timers: the thread ends again.
  using Prepare = bool (*)(Worker* worker);
  // The opposite, when a reserved worker leaves, on its hub.
  using Retire = void (*)(Worker* worker);

  // `first` becomes the group's first worker; it has not run any fiber but its root. `limit`: at
  // most so many workers, clipped to kMostWorkers.
  void open(Worker* first, size_t limit, Prepare prepare, Retire retire = nullptr) noexcept;

  // The Linux kernel may end OS threads of the process, which the watchdog is to notice. On that of
  // the first worker, before the group is opened.
  void expect_losses() noexcept;

  Worker* first() const noexcept { return workers_[0].load(std::memory_order_acquire); }
  size_t limit() const noexcept { return limit_; }

  // Calls visit for each worker that has begun.
  template <typename Visit>
  void for_each_worker(Visit&& visit) const {
    const size_t count = count_.load(std::memory_order_acquire);
    for (size_t i = 0; i < count; ++i) visit(*workers_[i].load(std::memory_order_relaxed));
  }

  // --- fibers with an OS thread of their own ---
  //
  // What a fiber does to the OS thread that it runs on (credentials, namespaces…) must not fall
  // upon others. Its worker is made by a clone of the caller's thread, so it begins with all that
  // this one has.

  // The running fiber goes on on a worker that is reserved for it, for good. False: there can be no
  // more workers.
  bool bind_current_fiber() noexcept;
  // For a fiber that has not been started: pins it to a new reserved worker.
  bool bind(Fiber* fiber) noexcept;

  // The running fiber goes on on the first worker, for good. Precondition: it has no worker of its
  // own.
  void pin_to_first() noexcept;

  // --- for calls that the Linux kernel takes from a process with one thread only ---

  // The running fiber, the only one that there is, goes on on the first worker, and the other
  // workers and the watchdog leave; their OS threads have ended a moment later. None is made until
  // end_withdrawal. False: some have not left.
  bool withdraw_to_first() noexcept;
  void end_withdrawal() noexcept { withdrawing_.store(false, std::memory_order_release); }

  // --- by anybody ---

  // Queues a ready fiber for whichever worker is free first.
  void inject(Fiber* fiber) noexcept;

  // --- by a worker of the group ---

  // Something waits in its queues while it does something else.
  void work_added(Worker& worker) noexcept;
  // A timer was armed; its hub may be long in coming.
  void timer_armed(Worker& worker) noexcept;

  void add_preempted(Fiber* fiber, Preemption why) noexcept;
  // The worker's next. `owed`: it runs though others were woken.
  Fiber* take_preempted(Worker& worker, bool owed) noexcept;
  // One that was woken computes on, as one of these.
  void woken_hog_goes_on(Worker& worker) noexcept;
  uint32_t preempted() const noexcept { return preempted_count_.load(std::memory_order_relaxed); }
  bool has_preempted() const noexcept { return preempted() != 0; }

  // The timers of the other workers.
  void fire_others(Worker& worker, Deadline now) noexcept;

  // The stages of a hub's turn.
  void look_for_work(Worker& worker, Deadline now) noexcept;
  Nanoseconds begin_sleep(Worker& worker, Nanoseconds timeout) noexcept;
  void end_sleep(Worker& worker) noexcept;
  void was_rung(Worker& worker) noexcept;
  void leave_hub(Worker& worker) noexcept;
  // Leaves the group, and its OS thread ends: the fiber of a reserved worker has ended, or the
  // group withdraws and it has nothing.
  [[noreturn]] void leave(Worker& worker) noexcept;
  bool is_to_leave(const Worker& worker) const noexcept {
    return withdrawing_.load(std::memory_order_acquire) && has_nothing(worker);
  }
  Deadline nearest_timer() const noexcept;
  // True if a second worker has begun and is not held back.
  bool has_several() const noexcept {
    return made_.load(std::memory_order_relaxed) > 1 && convoy_.useful() > 1;
  }
  void strange_runs_judged(bool futile) noexcept { convoy_.judged(futile, ordinary_made()); }
  bool anybody_sleeps() const noexcept { return sleepers_.load(std::memory_order_seq_cst) != 0; }
  // True for the last of those who begin to sleep or to stand by, perhaps for several at once.
  bool everybody_sleeps() const noexcept {
    const auto sleepers = static_cast<size_t>(sleepers_.load(std::memory_order_seq_cst));
    const auto standing_by = static_cast<size_t>(standing_by_.load(std::memory_order_seq_cst));
    return sleepers + standing_by == made_.load(std::memory_order_acquire);
  }

  // --- by the watchdog ---

  enum class Situation {
    kSwitches,  // since the last question, or has just begun
    kNoSwitch,  // since the last question: computes, or is stuck
    kSleeps,    // its hub waits for events
    kStandsBy,
  };
  Situation situation_of(Worker& worker) noexcept;
  void want_spares(uint32_t count) noexcept;
  // Whether an OS thread has ended in the middle of its work. False where that is not expected.
  bool has_lost_thread() noexcept;
  const Watchdog& watchdog() const noexcept { return watchdog_; }
  WakePreemption& wake_preemption() noexcept { return wake_preemption_; }

  // Before something that belongs to OS threads is changed for the process: no worker is made by a
  // thread that does not take part.
  void retire_watchdog() noexcept { watchdog_.retire(); }

  // --- by a worker's hub ---

  bool is_surplus(const Worker& worker) const noexcept {
    return worker.spare_rank_ >= spares_wanted_.load(std::memory_order_relaxed) ||
           worker.rank_ >= convoy_.useful();
  }
  // Hands over what the worker has and waits until it is wanted, or was rung.
  void stand_by(Worker& worker) noexcept;

  // Takes growth_lock at a moment when every worker that was made has begun.
  void lock_complete() noexcept;

  // Held around fork, with every other lock of the runtime: the child finds no half-made change.
  // How many OS threads the watchdog is.
  size_t watchdog_threads() const noexcept { return watchdog_.is_started() ? 1 : 0; }

  SpinLock& growth_lock() noexcept { return growth_lock_; }

  // In the child of fork: the other workers do not exist here.
  void reset_after_fork() noexcept;

 private:
  struct Member;
  struct Beginning;
  static void member_main(void* argument);
  size_t ordinary_made() const noexcept {
    return made_.load(std::memory_order_relaxed) - reserved_.load(std::memory_order_relaxed);
  }
  void grow(size_t limit) noexcept;
  bool start_member(bool reserved, Beginning* beginning) noexcept;
  Worker* reserve() noexcept;
  Member* take_idle() noexcept;
  void put_idle(Member* member) noexcept;
  [[noreturn]] void resign(Member& member, Worker& worker) noexcept;
  bool equip(Member& member) noexcept;
  bool has_nothing(const Worker& worker) const noexcept;
  void add_member(Worker* worker) noexcept;
  bool anything_waits_elsewhere(const Worker& worker) const noexcept;
  void take_injected(Worker& worker) noexcept;
  bool steal(Worker& thief) noexcept;
  void stop_watching(Worker& worker) noexcept;

  std::atomic<Worker*> workers_[kMostWorkers + kMostSpares] = {};
  std::atomic<size_t> count_{0};  // of workers_
  size_t limit_ = 1;
  Prepare prepare_ = nullptr;

  bool expects_losses_ = false;  // written before the others begin
  std::atomic<int>
      first_lives_{};  // zeroed by the Linux kernel when the first's OS thread has ended

  SpinLock growth_lock_;
  std::atomic<size_t> made_{0};      // workers begun or about to; written under growth_lock_
  std::atomic<size_t> reserved_{0};  // of these; likewise
  Member* idle_ = nullptr;  // without a thread, or about to be, for reuse; guarded by growth_lock_
  std::atomic<Deadline> grow_again_{0};  // no attempt before: the last one has failed
  Retire retire_ = nullptr;

  Convoy convoy_;

  std::atomic<int> sleepers_{0};
  std::atomic<int> standing_by_{0};
  std::atomic<bool> watched_{false};  // somebody watches, or has been rung to
  std::atomic<bool> withdrawing_{false};

  Watchdog watchdog_;
  WakePreemption wake_preemption_;
  std::atomic<uint32_t> spares_wanted_{0};  // futex of those who stand by

  Inbox injected_;
  SpinLock preempted_lock_;
  LocalQueue preempted_;  // guarded by preempted_lock_
  std::atomic<uint32_t> preempted_count_{0};
};

}  // namespace tendril::rt
