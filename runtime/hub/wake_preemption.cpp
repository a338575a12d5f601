#include "runtime/hub/wake_preemption.hpp"

#include <linux/futex.h>
#include <poll.h>

#include <algorithm>
#include <utility>

#include "runtime/hub/cpu_time.hpp"
#include "runtime/hub/interruptible_call.hpp"
#include "runtime/hub/poller.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/hub/worker_group.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::rt {
namespace {

// For so long a hog runs before it is interrupted: an interruption costs some 10 µs.
constexpr Nanoseconds kLeastRun = 500'000;
// The same when it was kept waiting.
constexpr Nanoseconds kOwedRun = 4'000'000;
// Then it is another hog's turn: what the Linux kernel gives as well, and threads that wait for
// each other by spinning need. A tick of CPU time is three times as long.
constexpr Nanoseconds kTurn = 3'000'000;

// After so many glances without a sign of others they are taken for quiet.
constexpr int kMostQuietGlances = 8;

// monotonic_now for the watchdog's OS thread: the vDSO reads the time stamp counter, which a thread
// that this one was cloned from may have forbidden itself, and nobody would handle the fault here.
Deadline now_by_system_call() noexcept {
  timespec time{};
  raw_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &time);
  return to_nanoseconds(time);
}

}  // namespace

void WakePreemption::hog_goes_on(WorkerGroup& group, Worker& worker, bool owed) noexcept {
  const Deadline now = monotonic_now();
  worker.hog_run.begin(worker.stats.switches + 1, now, now + (owed ? kOwedRun : kLeastRun), owed);
  if (group.anybody_sleeps()) return;  // and hears of everything
  if (watches_.load(std::memory_order_seq_cst) == 0) {
    if (watches_.exchange(1, std::memory_order_seq_cst) == 0) {
      raw_syscall(SYS_futex, &watches_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
    }
  } else if (group.nearest_timer() < watches_until_.load(std::memory_order_seq_cst)) {
    look_again();
  }
}

void WakePreemption::work_came(WorkerGroup& group) noexcept {
  if (watches_.load(std::memory_order_seq_cst) != 0) group.first()->poller->ring();
}

void WakePreemption::look_again() noexcept {
  called_ = 1;
  if (const int tid = watcher_tid_.load(std::memory_order_relaxed); tid != 0) interrupt_call(tid);
}

// For so long a hog is left alone although it is time to interrupt it.
Nanoseconds WakePreemption::look_at_standstill(Worker& worker) noexcept {
  return worker.standstill.look(worker.hog_run.number(), now_by_system_call(),
                                time_of_os_thread(worker.os_tid));
}

// Of the hogs that run, the one that may be interrupted first. Null if there is none, or somebody
// sleeps, who hears of everything.
Worker* WakePreemption::interruptible_hog(WorkerGroup& group) const noexcept {
  if (group.anybody_sleeps()) return nullptr;
  Worker* first = nullptr;
  group.for_each_worker([&](Worker& worker) {
    if (!worker.runs_hog()) return;
    if (first == nullptr || worker.hog_run.protected_until() < first->hog_run.protected_until()) {
      first = &worker;
    }
  });
  return first;
}

// Whether somebody runs a hog beside others who have done something lately.
bool WakePreemption::others_come_and_go(WorkerGroup& group) noexcept {
  bool hog = false;
  uint64_t switches = 0;
  group.for_each_worker([&](Worker& worker) {
    if (worker.runs_hog()) {
      hog = true;
    } else {
      switches += worker.switches_so_far();
    }
  });
  const bool quiet = std::exchange(switches_of_others_, switches) == switches;
  quiet_glances_ = quiet ? quiet_glances_ + 1 : 0;
  return hog && quiet_glances_ < kMostQuietGlances;
}

// On a worker that has made no switch since the last glance, and runs no hog. Not asked more often;
// while all run hogs there is nothing to see.
bool WakePreemption::somebody_waits_behind_others(WorkerGroup& group, Deadline now) noexcept {
  if (now < next_glance_) return false;
  next_glance_ = now + kTurn;
  bool found = false;
  group.for_each_worker([&](Worker& worker) {
    if (worker.reserved || worker.runs_hog()) return;
    next_glance_ = now + between_glances_;
    const uint64_t switches = worker.switches_so_far();
    const bool goes_on = std::exchange(worker.switches_at_glance, switches) == switches;
    if (goes_on && worker.movable() != 0) found = true;
  });
  return found;
}

void WakePreemption::watch(WorkerGroup& group, int own_tid, Nanoseconds length) noexcept {
  watcher_tid_.store(own_tid, std::memory_order_relaxed);
  Deadline now = now_by_system_call();
  const Deadline end = now + length;
  while (now < end) {
    if (watch_hogs(group, end)) between_glances_ = kBetweenGlances;
    watches_.store(0, std::memory_order_seq_cst);
    if (interruptible_hog(group) != nullptr) {  // began meanwhile, or goes on until the next look
      watches_.store(1, std::memory_order_seq_cst);
      now = now_by_system_call();
      continue;
    }
    now = now_by_system_call();
    if (now >= end) break;
    const Nanoseconds left = end - now;
    const timespec pause =
        to_timespec(others_come_and_go(group) ? std::min(left, between_glances_) : left);
    raw_syscall(SYS_futex, &watches_, FUTEX_WAIT_PRIVATE, 0, &pause, nullptr, 0);
    between_glances_ = std::min(between_glances_ * 2, kBetweenIdleGlances);
    now = now_by_system_call();
  }
}

// When the first of the turns ends, and whose it is, if others wait for theirs.
Deadline WakePreemption::end_of_turn(WorkerGroup& group, Worker** whose) noexcept {
  Deadline first = kForever;
  if (!group.has_preempted()) return first;
  group.for_each_worker([&](Worker& worker) {
    if (!worker.runs_hog()) return;
    const Deadline end = worker.hog_run.began() + kTurn;
    if (end >= first) return;
    first = end;
    *whose = &worker;
  });
  return first;
}

// Returns when there is no hog to be interrupted, or at the end: whether one was.
bool WakePreemption::watch_hogs(WorkerGroup& group, Deadline end) noexcept {
  bool interrupted = false;
  for (;;) {
    called_ = 0;
    // From here on who arms a timer calls; what was armed before, we see.
    watches_until_.store(end, std::memory_order_seq_cst);
    const Deadline now = now_by_system_call();
    if (now >= end) return interrupted;
    Worker* hog = interruptible_hog(group);
    if (hog == nullptr) return interrupted;
    Worker* next = nullptr;
    const Deadline turn = end_of_turn(group, &next);
    if (turn <= now) {
      next->hog_run.begin_turn(now);
      if (look_at_standstill(*next) == 0) next->interrupt_hog(Preemption::kSliceEnded);
      continue;
    }
    const Deadline until = turn < end ? turn : end;
    const Deadline from = hog->hog_run.protected_until();
    if (from > now) {
      hog->standstill.begin_unless_known(hog->hog_run.number(), now,
                                         time_of_os_thread(hog->os_tid));
      const timespec pause = to_timespec((from < until ? from : until) - now);
      raw_syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &pause, nullptr);
      continue;
    }
    const Deadline timer = group.nearest_timer();
    if (timer <= now || hog->anything_woken() || somebody_waits_behind_others(group, now) ||
        wait_for_work(group, std::min({timer, until, next_glance_}))) {
      const Nanoseconds left_alone = look_at_standstill(*hog);
      hog->hog_run.protect_until(now_by_system_call() + std::max(left_alone, kLeastRun));
      if (left_alone != 0) continue;
      hog->interrupt_hog(Preemption::kGivesWay);
      interrupted = true;
    }
  }
}

// True if the set of the group has something to tell.
bool WakePreemption::wait_for_work(WorkerGroup& group, Deadline until) noexcept {
  const Deadline now = now_by_system_call();
  const timespec limit = to_timespec(until > now ? until - now : 0);
  pollfd set{group.first()->poller->epoll_fd(), POLLIN, 0};
  const long arguments[6] = {
      reinterpret_cast<long>(&set), 1, reinterpret_cast<long>(&limit), 0, 0, 0};
  return interruptible_call(&called_, SYS_ppoll, arguments) > 0;
}

void WakePreemption::reset_after_fork() noexcept {
  watches_ = 0;
  watches_until_ = 0;
  watcher_tid_ = 0;
  called_ = 0;
}

}  // namespace tendril::rt
