#include "runtime/hub/worker_group.hpp"

#include <linux/futex.h>

#include <utility>

#include "runtime/hub/fatal.hpp"
#include "runtime/hub/interruptible_call.hpp"
#include "runtime/hub/park.hpp"
#include "runtime/hub/poller.hpp"
#include "runtime/hub/process.hpp"
#include "runtime/platform/runtime_mode.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::rt {
namespace {

// How often the watcher looks: soon at first, then less often while it finds nothing to take.
constexpr Nanoseconds kFirstTick = 50'000;
constexpr Nanoseconds kLongestTick = 400'000;
// After so many looks at which nothing waited anywhere, nobody watches.
constexpr int kMostQuietTicks = 6;

// From so many waiting fibers on, an idle worker takes some without asking how long they waited.
constexpr uint32_t kManyWaiting = 2;

}  // namespace

void WorkerGroup::open(Worker* first, size_t limit, Prepare prepare, Retire retire) noexcept {
  retire_ = retire;
  limit_ = limit < 1 ? 1 : limit > kMostWorkers ? kMostWorkers : limit;
  convoy_.open(limit_);
  prepare_ = prepare;
  made_.store(1, std::memory_order_relaxed);
  first->group = this;
  add_member(first);
  watchdog_.start(this);
}

void WorkerGroup::inject(Fiber* fiber) noexcept {
  injected_.push(fiber);
  if (anybody_sleeps()) {
    first()->poller->ring();
  } else {
    wake_preemption_.work_came(*this);
  }
}

void WorkerGroup::work_added(Worker& worker) noexcept {
  if (worker.reserved) return;  // what it has is its own, and a clone of its thread is not wanted
  // While it takes up events it counts as one who sleeps, and would ring for itself.
  const int itself = worker.sleeping_.load(std::memory_order_relaxed) ? 1 : 0;
  if (sleepers_.load(std::memory_order_relaxed) == itself) {
    if (itself == 0 && ordinary_made() < convoy_.useful()) grow(limit_);
    return;  // a hub says so once more when it is left
  }
  if (watched_.load(std::memory_order_relaxed) || watched_.exchange(true)) return;
  worker.poller->ring();
}

void WorkerGroup::timer_armed(Worker& worker) noexcept {
  if (worker.movable() != 0 || has_preempted()) work_added(worker);
}

void WorkerGroup::add_preempted(Fiber* fiber, Preemption why) noexcept {
  SpinGuard guard(preempted_lock_);
  if (why != Preemption::kSliceEnded) {
    preempted_.push_front(fiber);
  } else {
    preempted_.push(fiber);
  }
  preempted_count_.fetch_add(1, std::memory_order_relaxed);
}

Fiber* WorkerGroup::take_preempted(Worker& worker, bool owed) noexcept {
  if (worker.reserved || !has_preempted()) return nullptr;
  Fiber* fiber;
  {
    SpinGuard guard(preempted_lock_);
    fiber = preempted_.pop();
    if (fiber == nullptr) return nullptr;
    preempted_count_.fetch_sub(1, std::memory_order_relaxed);
    fiber->worker = &worker;
  }
  if (fiber->computes) fiber->computed_at = monotonic_now();
  wake_preemption_.hog_goes_on(*this, worker, owed);
  return fiber;
}

void WorkerGroup::woken_hog_goes_on(Worker& worker) noexcept {
  wake_preemption_.hog_goes_on(*this, worker, /*owed=*/false);
}

Deadline WorkerGroup::nearest_timer() const noexcept {
  Deadline nearest = kForever;
  for_each_worker([&](const Worker& worker) {
    if (worker.timers.nearest() < nearest) nearest = worker.timers.nearest();
  });
  return nearest;
}

void WorkerGroup::fire_others(Worker& worker, Deadline now) noexcept {
  for_each_worker([&](Worker& other) {
    if (&other != &worker && other.timers.nearest() <= now) other.timers.fire_due(now);
  });
}

bool WorkerGroup::anything_waits_elsewhere(const Worker& worker) const noexcept {
  bool found = false;
  for_each_worker([&](const Worker& other) {
    if (&other != &worker && other.movable() != 0) found = true;
  });
  return found;
}

// Takes half of what waits on others: of a worker that has many, or, when watching, of one that has
// not switched since the last tick, or, in place of one that computes, of any.
bool WorkerGroup::steal(Worker& thief) noexcept {
  uint32_t taken = 0;
  for_each_worker([&](Worker& victim) {
    if (&victim == &thief) return;
    const uint64_t switches = victim.switches_so_far();
    const uint32_t waiting = victim.movable();
    const bool stuck = thief.was_preempted_ || (thief.watching_ && victim.watched_waiting_ &&
                                                switches == victim.watched_switches_);
    if (thief.watching_) {
      victim.watched_switches_ = switches;
      victim.watched_waiting_ = waiting != 0;
    }
    if (taken != 0 || waiting == 0 || (waiting < kManyWaiting && !stuck)) return;
    taken = victim.give_to(thief, (waiting + 1) / 2);
  });
  thief.stats.stolen += taken;
  return taken != 0;
}

void WorkerGroup::take_injected(Worker& worker) noexcept {
  if (injected_.empty()) return;
  for (Fiber* fiber = injected_.take_all(); fiber != nullptr;) {
    Fiber* next = fiber->next_ready;
    worker.add_woken(fiber);
    fiber = next;
  }
}

void WorkerGroup::look_for_work(Worker& worker, Deadline now) noexcept {
  convoy_.look(now);
  take_injected(worker);
  if (worker.anything_ready()) return;
  fire_others(worker, now);
  if (worker.anything_ready()) return;
  if (steal(worker)) worker.tick_ = kFirstTick;
}

Nanoseconds WorkerGroup::begin_sleep(Worker& worker, Nanoseconds timeout) noexcept {
  const auto sleepers = static_cast<size_t>(sleepers_.fetch_add(1, std::memory_order_seq_cst));
  if (const size_t made = ordinary_made(); made > 1) {
    const auto standing_by = static_cast<size_t>(standing_by_.load(std::memory_order_relaxed));
    if (worker.lone_periods_.end(sleepers + standing_by + 1 == made)) convoy_.one_does(made);
  }
  if (!injected_.empty() || has_preempted()) return 0;
  const bool waits = anything_waits_elsewhere(worker);
  if (!worker.watching_ && waits && !watched_.exchange(true)) {
    worker.watching_ = true;
    worker.tick_ = kFirstTick;
    worker.quiet_ticks_ = 0;
  }
  if (!worker.watching_) return timeout;
  worker.quiet_ticks_ = waits ? 0 : worker.quiet_ticks_ + 1;
  if (worker.quiet_ticks_ > kMostQuietTicks) {
    stop_watching(worker);
    return timeout;
  }
  const Nanoseconds tick = worker.tick_;
  worker.tick_ = tick * 2 < kLongestTick ? tick * 2 : kLongestTick;
  return tick < timeout ? tick : timeout;
}

void WorkerGroup::end_sleep(Worker& worker) noexcept {
  worker.lone_periods_.begin();
  sleepers_.fetch_sub(1, std::memory_order_relaxed);
  if (!withdrawing_.load(std::memory_order_relaxed)) watchdog_.somebody_woke();
}

WorkerGroup::Situation WorkerGroup::situation_of(Worker& worker) noexcept {
  if (worker.reserved) return Situation::kStandsBy;  // what it waits for concerns nobody else
  if (worker.sleeping_.load(std::memory_order_relaxed)) {
    return is_surplus(worker) ? Situation::kStandsBy : Situation::kSleeps;
  }
  const uint64_t switches = worker.switches_so_far();
  const bool switched = switches != worker.switches_at_look_;
  worker.switches_at_look_ = switches;
  return switched ? Situation::kSwitches : Situation::kNoSwitch;
}

void WorkerGroup::want_spares(uint32_t count) noexcept {
  if (count > kMostSpares) count = kMostSpares;
  // Those who are held back come first. Released before the number changes: who is about to stand
  // by has read both, the number first.
  const bool released = count != 0 && convoy_.release();
  if (spares_wanted_.exchange(count) == count && !released) return;
  if (count == 0) return;  // they see it at their next hub turn
  if (released) --count;
  while (ordinary_made() < limit_ + count) {
    const size_t before = ordinary_made();
    grow(limit_ + count);
    if (ordinary_made() == before) break;  // out of memory or threads
  }
  raw_syscall(SYS_futex, &spares_wanted_, FUTEX_WAKE_PRIVATE, kMostSpares, nullptr, nullptr, 0);
}

void WorkerGroup::stand_by(Worker& worker) noexcept {
  if (worker.watching_) stop_watching(worker);
  worker.drain_inbox();
  LocalQueue all;
  {
    Worker::QueueLock guard(worker);
    while (Fiber* fiber = worker.woken_.pop()) all.push(fiber);
    while (Fiber* fiber = worker.yielded_.pop()) all.push(fiber);
    worker.movable_.store(0, std::memory_order_relaxed);
  }
  while (Fiber* fiber = all.pop()) inject(fiber);
  // The bell may have rung for us, and what we leave has to be seen: somebody else is to look.
  if (!injected_.empty() || has_preempted()) {
    if (sleepers_.load(std::memory_order_seq_cst) != 0) worker.poller->ring();
  } else if (anything_waits_elsewhere(worker)) {
    work_added(worker);
  }
  // Whoever sleeps may have worked out for how long before what ran here armed its timers. Rung
  // even if nobody sleeps yet: who is about to finds the bell.
  if (worker.timers.nearest() != kForever) worker.poller->ring();
  worker.report_idle(nearest_timer() == kForever && worker.poller->waiters() == 0);
  worker.sleeping_.store(true, std::memory_order_seq_cst);
  standing_by_.fetch_add(1, std::memory_order_seq_cst);
  if (process().hooks.on_standstill != nullptr && everybody_sleeps()) {
    process().hooks.on_standstill(&worker);
  }
  const uint32_t wanted = spares_wanted_.load(std::memory_order_seq_cst);
  if (is_surplus(worker) && worker.inbox.empty()) {
    const bool held_back = worker.spare_rank_ < 0;
    const Nanoseconds pause = held_back ? convoy_.held_back_until() - monotonic_now() : 0;
    const timespec limit = to_timespec(pause > 0 ? pause : 0);
    const long arguments[6] = {reinterpret_cast<long>(&spares_wanted_),
                               FUTEX_WAIT_PRIVATE,
                               static_cast<long>(wanted),
                               held_back ? reinterpret_cast<long>(&limit) : 0,
                               0,
                               0};
    const SleepNotice notice(&worker);
    interruptible_call(&worker.rung_, SYS_futex, arguments);
    if (held_back) convoy_.look(monotonic_now());
  }
  standing_by_.fetch_sub(1, std::memory_order_relaxed);
  worker.sleeping_.store(false, std::memory_order_relaxed);
  worker.last_hub_time_ = monotonic_now();  // nothing of its own was kept waiting
}

// Whoever rang has injected something, or has left it to us to watch.
void WorkerGroup::was_rung(Worker& worker) noexcept {
  take_injected(worker);
  if (!watched_.load(std::memory_order_relaxed) || worker.watching_) return;
  worker.watching_ = true;
  worker.tick_ = kFirstTick;
  worker.quiet_ticks_ = 0;
}

void WorkerGroup::stop_watching(Worker& worker) noexcept {
  worker.watching_ = false;
  watched_.store(false, std::memory_order_seq_cst);
}

// The worker has something to run: it no longer watches; if more waits than it can run now,
// somebody else does.
void WorkerGroup::leave_hub(Worker& worker) noexcept {
  const bool has_work = worker.anything_ready() || has_preempted();
  if (!has_work) return;
  if (worker.watching_) stop_watching(worker);
  const uint32_t own = worker.movable() + preempted_count_.load(std::memory_order_relaxed);
  if (own > 1 || anything_waits_elsewhere(worker)) work_added(worker);
}

void WorkerGroup::reset_after_fork() noexcept {
  expects_losses_ = false;
  count_ = 0;
  made_ = 0;
  reserved_ = 0;
  idle_ = nullptr;
  grow_again_ = 0;
  sleepers_ = 0;
  standing_by_ = 0;
  watched_ = false;
  withdrawing_ = false;
  growth_lock_.reset_after_fork();
  preempted_lock_.reset_after_fork();
  watchdog_.reset_after_fork();
  wake_preemption_.reset_after_fork();
  spares_wanted_ = 0;
  convoy_.reset_after_fork();
  injected_.clear();
  preempted_.clear();
  preempted_count_ = 0;
}

}  // namespace tendril::rt
