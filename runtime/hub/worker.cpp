#include "runtime/hub/worker.hpp"

#include <algorithm>

#include "runtime/hub/embedded_loop.hpp"
#include "runtime/hub/fatal.hpp"
#include "runtime/hub/interruptible_call.hpp"
#include "runtime/hub/poller.hpp"
#include "runtime/hub/prefetch_following.hpp"
#include "runtime/hub/process.hpp"
#include "runtime/hub/seeded_schedule.hpp"
#include "runtime/hub/shared_futex.hpp"
#include "runtime/hub/switch_duties.hpp"
#include "runtime/hub/transfer_ring.hpp"
#include "runtime/hub/worker_group.hpp"
#include "runtime/platform/protection_keys.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::rt {

void WorkerStats::add(const WorkerStats& other) noexcept {
  switches += other.switches;
  stolen += other.stolen;
  preemptions += other.preemptions;
  hub_turns += other.hub_turns;
  hub_sleeps += other.hub_sleeps;
  if (other.longest_without_hub > longest_without_hub) {
    longest_without_hub = other.longest_without_hub;
  }
  calls_by_symbol += other.calls_by_symbol;
  calls_by_trap += other.calls_by_trap;
  calls_by_patch += other.calls_by_patch;
  calls_passed += other.calls_passed;
}

// What gave up the processor by itself and what was made to take turns.
inline Fiber* Worker::pick_second_class() noexcept {
  if (group == nullptr) return yielded_.pop();
  group_is_next_ = !group_is_next_;
  Fiber* fiber = nullptr;
  if (group_is_next_) fiber = group->take_preempted(*this, second_class_is_due_);
  if (fiber == nullptr && !yielded_.empty()) {
    QueueLock guard(*this);
    fiber = yielded_.pop();
    if (fiber != nullptr) count_movable(fiber, -1);
  }
  if (fiber == nullptr && !group_is_next_) {
    fiber = group->take_preempted(*this, second_class_is_due_);
  }
  second_class_is_due_ = false;
  return fiber;
}

inline Fiber* Worker::pick_next() noexcept {
  if (--turns_left_ <= 0 && current != &hub && hub_is_due()) {
    hub_due_ = true;
    return &hub;
  }
  if (seeded_schedule().is_on()) [[unlikely]]
    return pick_by_seed();
  // The queues may only shrink behind our back: whoever looks empty is.
  if (!woken_.empty() && !second_class_is_due_ &&
      (woken_streak_ < kWokenInARow || yielded_.empty())) {
    Fiber* fiber;
    {
      QueueLock guard(*this);
      fiber = woken_.pop();
      if (fiber != nullptr) {
        prefetch_following(woken_.front(), hub.fs_base);
        count_movable(fiber, -1);
      }
    }
    if (fiber != nullptr) {
      ++woken_streak_;
      only_yielded_ = false;
      // Not under the lock: it may wake the watchdog's thread, which may take this processor.
      if (fiber->computes) [[unlikely]]
        go_on_computing(*fiber);
      return fiber;
    }
  }
  woken_streak_ = 0;
  if (Fiber* fiber = pick_second_class()) return fiber;
  if (current->state.load(std::memory_order_relaxed) == FiberState::kYielding &&
      current->worker == this) {
    return inbox.empty() ? current : &hub;
  }
  return &hub;
}

// Runs next instead of self, which comes back from here.
inline void Worker::switch_to(Fiber* next, Fiber* self) noexcept {
  next->state.store(FiberState::kRunning, std::memory_order_relaxed);
  const uint8_t duties = switch_duties.load(std::memory_order_relaxed);
  if (duties != 0) [[unlikely]]
    return switch_with_duties(next, self, duties);
  current = next;
  ++stats.switches;
  const bool dying = self->state.load(std::memory_order_relaxed) == FiberState::kDead;
  auto* left = static_cast<Fiber*>(switch_context(*self, *next, dying));
  current_worker_unchecked()->finish_switch_if_due(left);
}

void Worker::switch_with_duties(Fiber* next, Fiber* self, uint8_t duties) noexcept {
  if ((duties & kChargeCpuTime) != 0) {
    charge_and_set_current(*this, *next);
  } else {
    current = next;
  }
  ++stats.switches;
  uint32_t key_rights = kInitialKeyRights;
  if ((duties & kKeepKeyRights) != 0) {
    key_rights = read_key_rights();
    write_key_rights(kInitialKeyRights);
  }
  const bool dying = self->state.load(std::memory_order_relaxed) == FiberState::kDead;
  auto* left = static_cast<Fiber*>(switch_context(*self, *next, dying));
  if (keeps_key_rights()) write_key_rights(key_rights);
  current_worker_unchecked()->finish_switch_if_due(left);
}

void Worker::switch_away(Fiber* self) noexcept {
  Worker* worker = current_worker_unchecked();
  Fiber* next = worker->pick_next();
  if (next == self) {  // yielded, and nobody else is ready
    self->state.store(FiberState::kRunning, std::memory_order_relaxed);
    return;
  }
  worker->switch_to(next, self);
}

void Worker::yield_current(Worker* worker) noexcept {
  Fiber* self = worker->current;
  self->state.store(FiberState::kYielding, std::memory_order_relaxed);
  switch_away(self);
}

// The fiber that was left is off its stack now, and its context is complete: only from here on may
// others see it. Its state says what it wanted.
void Worker::finish_switch(Fiber* left) noexcept {
  switch (left->state.load(std::memory_order_acquire)) {
    case FiberState::kYielding:
      left->state.store(FiberState::kReady, std::memory_order_relaxed);
      if (left->worker != this) {  // on its way to the worker that it is pinned to from now on
        schedule(left);
      } else if (preempting_ != Preemption::kNone && !left->pinned && group != nullptr) {
        group->add_preempted(left, preempting_);
      } else {
        add_yielded(left);
      }
      was_preempted_ = preempting_ != Preemption::kNone;
      preempting_ = Preemption::kNone;
      break;
    case FiberState::kParking: {
      if (left->worker->waits_plainly) {
        left->state.store(FiberState::kParked, std::memory_order_release);
        break;
      }
      FiberState expected = FiberState::kParking;
      if (left->state.compare_exchange_strong(expected, FiberState::kParked,
                                              std::memory_order_acq_rel)) {
        break;
      }
      [[fallthrough]];
    }
    case FiberState::kWakePending:
      left->state.store(FiberState::kReady, std::memory_order_relaxed);
      schedule(left);
      break;
    case FiberState::kDead:
      retire_context(*left);
      deserted_ = reserved && left->worker == this;
      if (left->last_rites != nullptr) left->last_rites(left);
      break;
    case FiberState::kRunning:  // the hub, which is in no queue
    case FiberState::kReady:    // who waits plainly was queued, or parked, before it left
    case FiberState::kSpare:
    case FiberState::kParked:
      break;
  }
}

bool Worker::hub_is_due() noexcept {
  turns_left_ = kTurnsPerLook;
  const bool by_seed = seeded_schedule().is_on();  // to be repeated: must not ask the clock
  looks_left_ -= by_seed ? kLooksPerHubTurn / kLooksPerSeededHubTurn : 1;
  if (looks_left_ > 0) {
    if (by_seed) return false;
    const bool others_sent_some = group == nullptr && !inbox.empty();
    if (!others_sent_some && cycle_count() - last_hub_cycles_ < kCyclesPerHubTurn) return false;
  }
  looks_left_ = kLooksPerHubTurn;
  return true;
}

void Worker::count_movable(const Fiber* fiber, int change) noexcept {
  if (group == nullptr || fiber->pinned) return;
  movable_.store(movable_.load(std::memory_order_relaxed) + static_cast<uint32_t>(change),
                 std::memory_order_relaxed);
}

void Worker::note_return_from_outside(Fiber& self) noexcept {
  self.was_stolen = false;
  if (!group->has_several()) return;
  if (strange_runs_.begin(stats.switches)) group->strange_runs_judged(strange_runs_.judge());
}

void Worker::note_wait(Fiber& self) noexcept {
  if (self.computes) [[unlikely]]
    note_computing(self, monotonic_now());
  const bool at_lock =
      self.wait_kind == WaitKind::kFutex || self.wait_kind == WaitKind::kSharedFutex;
  if (self.was_stolen) {
    self.was_stolen = false;
    if (strange_runs_.end_stolen(at_lock)) group->strange_runs_judged(strange_runs_.judge());
  } else if (at_lock) {
    strange_runs_.meets_lock(stats.switches);
  }
}

bool Worker::add_woken(Fiber* fiber) noexcept {
  if (fiber->computes && goes_on_as_hog(*fiber)) [[unlikely]]
    return false;
  QueueLock guard(*this);
  if (fiber->worker != this) fiber->worker = this;  // those alone stay: any thread may look at it
  woken_.push(fiber);
  count_movable(fiber, 1);
  return true;
}

void Worker::add_yielded(Fiber* fiber) noexcept {
  QueueLock guard(*this);
  yielded_.push(fiber);
  count_movable(fiber, 1);
}

// Any that is ready, the one that yields among them. Alone in its group.
Fiber* Worker::pick_by_seed() noexcept {
  QueueLock guard(*this);
  const size_t woken = woken_.size();
  const size_t queued = woken + yielded_.size();
  const bool yields = current->state.load(std::memory_order_relaxed) == FiberState::kYielding;
  if (queued + (yields ? 1 : 0) == 0) return &hub;
  const size_t choice = seeded_schedule().choose(queued + (yields ? 1 : 0));
  if (choice == queued) return current;
  Fiber* fiber = choice < woken ? woken_.take(choice) : yielded_.take(choice - woken);
  count_movable(fiber, -1);
  return fiber;
}

uint32_t Worker::give_to(Worker& thief, uint32_t most) noexcept {
  LocalQueue given;
  uint32_t count = 0;
  {
    QueueLock guard(*this);
    for (; count < most; ++count) {
      Fiber* fiber = woken_.pop_movable();
      if (fiber == nullptr) fiber = yielded_.pop_movable();
      if (fiber == nullptr) break;
      count_movable(fiber, -1);
      given.push(fiber);
    }
  }
  thief.strange_runs_.steal();
  while (Fiber* fiber = given.pop()) {
    fiber->was_stolen = true;
    thief.add_woken(fiber);
  }
  return count;
}

void Worker::schedule(Fiber* fiber) noexcept {
  Worker* here = current_worker();
  Worker* home = fiber->worker;
  if (home->group == nullptr || fiber->pinned) {
    if (here == home) {
      home->add_woken(fiber);
    } else {
      home->inbox.push(fiber);
      home->ring();
    }
  } else if (here != nullptr && here->group == home->group && !here->reserved) {
    const bool goes_first = here->add_woken(fiber);
    if (goes_first && here->hog_run.lasts(here->stats.switches)) [[unlikely]]
      here->hog_has_woken();
    const bool is_for_others =
        here->current != &here->hub || here->movable() + here->group->preempted() > 1;
    if (is_for_others) here->group->work_added(*here);
  } else {
    home->group->inject(fiber);
  }
}

void Worker::ring() noexcept {
  if (!sleeping_.load(std::memory_order_seq_cst)) return;
  if (group == nullptr) {
    poller->ring();
    return;
  }
  if (reserved) return ring_alone();
  rung_ = 1;  // the poller is shared: its bell would wake any of the group
  interrupt_call(os_tid);
}

void Worker::ring_from_handler(ucontext_t* frame) noexcept {
  if (group == nullptr) {
    // Whether the hub sleeps says nothing here: it may have looked around already.
    poller->ring();
    return;
  }
  rung_ = 1;
  leave_interruptible_call(frame);
}

long Worker::call_unless_rung(long number, const long (&arguments)[6]) noexcept {
  return interruptible_call(&rung_, number, arguments);
}

void Worker::drain_inbox() noexcept {
  if (inbox.empty()) return;
  for (Fiber* fiber = inbox.take_all(); fiber != nullptr;) {
    Fiber* next = fiber->next_ready;
    admit(fiber);
    fiber = next;
  }
}

// Where states are this thread's alone, who claims a wait elsewhere leaves them as they are.
void Worker::admit(Fiber* fiber) noexcept {
  if (fiber->state.load(std::memory_order_relaxed) == FiberState::kParked) {
    fiber->state.store(FiberState::kReady, std::memory_order_relaxed);
  }
  add_woken(fiber);
}

void Worker::hub_entry(boost::context::detail::transfer_t transfer) {
  Worker* worker = current_worker_unchecked();
  worker->finish_switch(static_cast<Fiber*>(arrive(transfer, worker->hub)));
  worker->hub_main();
}

Deadline Worker::nearest_timer() const noexcept {
  // Its own in any case: a worker that leaves the group at this moment moves another in the list,
  // which who walks it may miss. The one that was missed then answers for its own timers.
  const Deadline own = timers.nearest();
  if (group == nullptr || reserved) return own;
  const Deadline all = group->nearest_timer();
  return all < own ? all : own;
}

Nanoseconds Worker::time_to_sleep(Deadline now) noexcept {
  Nanoseconds timeout = kForever;
  if (const Deadline nearest = nearest_timer(); nearest != kForever) {
    timeout = nearest > now ? nearest - now : 0;
    if (timers_stream_ && timeout != 0) timeout = std::max(timeout, kSleepInAStream);
  }
  // One without anything to wait for may have a timeout of 0: it would have nothing to run.
  if (loop_is_alive()) {
    timeout = std::min(timeout, loop_->timeout());
  }
  return timeout;
}

// The timers and descriptors of a group are everybody's: whoever looks at it last sees them. Who
// fell asleep before anybody wanted to know of dead ends has to have said so, too.
void Worker::report_idle(bool for_ever) noexcept {
  if (!for_ever && group == nullptr) return;
  idle_after.store(stats.switches + 1, std::memory_order_seq_cst);
  if (for_ever && process().hooks.on_dead_end != nullptr) process().hooks.on_dead_end(this);
}

void Worker::hub_turn() noexcept {
  ++stats.hub_turns;
  hub_due_ = false;
  rung_ = 0;  // before we look for what we were rung for
  if (process().hooks.on_hub_turn != nullptr) process().hooks.on_hub_turn(this);
  drain_inbox();
  collect_shared_futexes();
  Deadline now = monotonic_now();
  if (now - last_hub_time_ > stats.longest_without_hub) {
    stats.longest_without_hub = now - last_hub_time_;
  }
  timers.fire_due(now);
  if (group != nullptr && !reserved) {
    // What somebody was interrupted for may be a timer of another who computes.
    if (was_preempted_) group->fire_others(*this, now);
    group->look_for_work(*this, now);
  }
  was_preempted_ = false;

  Nanoseconds timeout = anything_ready() ? 0 : time_to_sleep(now);
  const bool sleeps = timeout != 0;
  // They yield because they wait for somebody: it may be one who has no processor.
  if (!sleeps && only_yielded_) raw_syscall(SYS_sched_yield);
  only_yielded_ = true;
  if (sleeps) {
    const auto nothing_comes = [&] {
      return !reserved && timeout == kForever && poller->waiters() == 0 && !loop_is_alive();
    };
    if (!reserved && !loop_is_alive()) {
      report_idle(timeout == kForever && poller->waiters() == 0);
      if (anything_ready()) timeout = 0;
    }
    // From here on whoever fills the inbox rings; what came before is seen now.
    sleeping_.store(true, std::memory_order_seq_cst);
    if (group != nullptr && !reserved) timeout = group->begin_sleep(*this, timeout);
    if (!inbox.empty()) timeout = 0;
    if (process().hooks.on_standstill != nullptr && nothing_comes() &&
        (group == nullptr || group->everybody_sleeps())) {
      process().hooks.on_standstill(this);
    }
    if (timeout != 0) ++stats.hub_sleeps;
  }
  Poller::Outcome outcome;
  {
    const SleepNotice notice(timeout != 0 ? this : nullptr);
    if (reserved) {
      sleep_alone(timeout);
    } else {
      outcome =
          transfers != nullptr ? transfers->poll(&rung_, timeout) : poller->poll(&rung_, timeout);
    }
  }
  if (sleeps) {
    sleeping_.store(false, std::memory_order_relaxed);
    if (group != nullptr && !reserved) group->end_sleep(*this);
  }
  if (outcome.rung && group != nullptr) group->was_rung(*this);
  drain_inbox();
  collect_shared_futexes();

  now = monotonic_now();
  note_turns(now);
  last_hub_time_ = now;  // sleeping is not starving: the count starts anew
  last_hub_cycles_ = cycle_count();
  const TimerQueue::Fired fired = timers.fire_due(now);
  if (sleeps) timers_stream_ = fired.timers >= kTimersInAStream && fired.short_waits == 0;
  if (loop_ != nullptr && (outcome.loop_has_work || loop_is_alive())) {
    if (outcome.loop_has_work || loop_->timeout() == 0) loop_->run();
  }
}

// Who yields or computes has a turn in any case where nobody else is ready.
void Worker::note_turns(Nanoseconds now) noexcept {
  if (group == nullptr || reserved || seeded_schedule().is_on()) return;
  if (woken_.empty() || (yielded_.empty() && !group->has_preempted())) {
    computed_last_ = now;
  } else if (now - computed_last_ >= kWokenTime) {
    computed_last_ = now;
    second_class_is_due_ = true;
  }
}

void Worker::hub_main() noexcept {
  for (;;) {
    if (deserted_ || (group != nullptr && group->is_to_leave(*this))) group->leave(*this);
    if (group != nullptr && group->is_surplus(*this)) {
      rung_ = 0;
      if (process().hooks.on_hub_turn != nullptr) process().hooks.on_hub_turn(this);
      group->stand_by(*this);
      continue;
    }
    turns_left_ = 0;  // a callback that yields is refused, see yield_plainly
    hub_turn();
    turns_left_ = kTurnsPerLook;
    looks_left_ = kLooksPerHubTurn;
    if (reserved) {
      if (anything_ready()) switch_away(&hub);
      continue;
    }
    if (group != nullptr) group->leave_hub(*this);
    if (anything_ready() || (group != nullptr && group->has_preempted())) switch_away(&hub);
    // The last rites of who ended may have made somebody ready (who joins it): no reason to look
    // around, unless it is time.
    while (!hub_due_ && inbox.empty() && anything_ready() && --turns_left_ > 0) switch_away(&hub);
  }
}

bool Worker::loop_is_alive() const noexcept { return loop_ != nullptr && loop_->is_alive(); }

void Worker::forget_after_fork() noexcept {
  woken_.clear();
  yielded_.clear();
  hog_run.reset_after_fork();
  preemption_due = Preemption::kNone;
  movable_ = 0;
  queue_lock_.reset_after_fork();
  inbox.clear();
  timers.clear_after_fork();
  if (transfers != nullptr) transfers = TransferRing::replace_after_fork(transfers, *poller);
  // The handles of the parent's stay the program's to close; a new one is made on demand.
  loop_ = nullptr;
  stats = {};
  idle_after = 0;
}

}  // namespace tendril::rt
