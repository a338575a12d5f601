// What belongs to the process as a whole: the lists of fibers, for those who want to see them, and
// the hooks by which the layer above takes part in the hub's work.
#pragma once

#include <signal.h>

#include <atomic>

#include "runtime/fiber/fiber.hpp"
#include "runtime/hub/fiber_list.hpp"
#include "runtime/platform/spin_lock.hpp"

namespace tendril::rt {

class Worker;

struct ProcessHooks {
  // On the hub, once a turn, before it polls: e.g. routing of signals.
  void (*on_hub_turn)(Worker* worker) = nullptr;
  // Makes a fiber that has a thread identity of its own (thread-locals, tid), so that C libraries
  // that block or lock inside it behave. Null: explicit fibers share their OS thread's identity.
  // As create_fiber: started by start_fiber; null when out of memory.
  Fiber* (*create_identified_fiber)(FiberEntry entry, void* argument) = nullptr;
  // On an OS thread that is no worker and is about to become one: the layer above may make it one
  // in its own way. False when it would and cannot, for want of memory or descriptors.
  bool (*before_adopt)() = nullptr;
  // On the running fiber, after a wait of the explicit API was interrupted: deals with what the
  // layer above had to do with it (delivers signals) and clears interrupt_pending; the wait goes
  // on.
  void (*on_interrupt)(Fiber* fiber) = nullptr;
  // On the hub, when it would sleep for ever and nothing of its own can wake it.
  void (*on_dead_end)(Worker* worker) = nullptr;
  // On the hub of the last worker to go to sleep, when it sleeps without limit and no descriptor is
  // waited for, or to stand by. It is entered among the sleepers: who rings for it meanwhile is
  // heard afterwards.
  void (*on_standstill)(Worker* worker) = nullptr;
  // On the hub, around a sleep in the kernel: what interrupts a worker that runs lets it sleep.
  void (*on_sleep)(Worker* worker) = nullptr;
  void (*on_wake)(Worker* worker) = nullptr;
  // On the fiber, after an offloaded call of it that has raised a signal where it was made: a
  // seccomp filter's SIGSYS.
  void (*on_signal_of_call)(const siginfo_t& info) = nullptr;
  // On the watchdog, see WorkerGroup::expect_losses.
  void (*on_lost_thread)() = nullptr;
  // In the child of fork, for each fiber, before they are all forgotten.
  void (*on_forgotten_after_fork)(Fiber* fiber) = nullptr;
};

class Process {
 public:
  ProcessHooks hooks;

  // To and from the list of the fiber's worker if that is alone, else that of the groups. On that
  // worker.
  void add_fiber(Fiber* fiber) noexcept;
  void remove_fiber(Fiber* fiber) noexcept;

  // Calls visit for each live fiber, under the lock of its list: visit must not block. Fibers of
  // different workers alone are not seen at one moment.
  template <typename Visit>
  void for_each_fiber(Visit&& visit) {
    {
      SpinGuard guard(lock_);
      grouped_.for_each(visit);
    }
    for_each_alone([&](FibersAlone& fibers) {
      BiasedGuard guard(fibers.lock);
      fibers.for_each(visit);
    });
  }

  size_t live_fibers() const noexcept;

  // Of a worker that has just been made, and stays.
  void add_alone(FibersAlone* fibers) noexcept;

  SpinLock& lock() noexcept { return lock_; }  // held around fork
  void reset_after_fork() noexcept;

 private:
  template <typename Visit>
  void for_each_alone(Visit&& visit) const {
    for (FibersAlone* f = newest_.load(std::memory_order_acquire); f != nullptr; f = f->older) {
      visit(*f);
    }
  }

  SpinLock lock_;
  FiberList grouped_;  // guarded by lock_
  std::atomic<FibersAlone*> newest_{nullptr};
};

Process& process() noexcept;

// Lasts as long as a worker sleeps in the kernel. Null: it only looks.
class SleepNotice {
 public:
  explicit SleepNotice(Worker* worker) noexcept
      : worker_(process().hooks.on_sleep != nullptr ? worker : nullptr) {
    if (worker_ != nullptr) process().hooks.on_sleep(worker_);
  }
  ~SleepNotice() {
    if (worker_ != nullptr) process().hooks.on_wake(worker_);
  }
  SleepNotice(const SleepNotice&) = delete;
  SleepNotice& operator=(const SleepNotice&) = delete;

 private:
  Worker* worker_;
};

}  // namespace tendril::rt
