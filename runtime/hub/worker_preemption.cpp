// The part of a worker that makes fibers give up the processor.
#include <algorithm>

#include "runtime/hub/interruptible_call.hpp"
#include "runtime/hub/seeded_schedule.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/hub/worker_group.hpp"

namespace tendril::rt {

uint64_t Worker::switches_so_far() const noexcept {
  return std::atomic_ref(const_cast<uint64_t&>(stats.switches)).load(std::memory_order_relaxed);
}

bool Worker::runs_hog() const noexcept { return hog_run.lasts_or_begins(switches_so_far()); }

// True if the running fiber's slice has ended.
bool Worker::strike() noexcept {
  turns_left_ = 0;  // one that computes for less is not stopped, but the hub looks around after it
  looks_left_ = 0;
  if (current == &hub) return false;
  const bool struck_before = struck_at_ == stats.switches;
  struck_at_ = stats.switches;
  if (ticks_per_slice == 1) return true;
  // What a hog gives way to is not to give it a new slice.
  if (!hog_run.lasts(stats.switches)) return struck_before;
  current->struck = !current->struck;
  return !current->struck;
}

// A wait that is shorter than what was computed before does not make a thread one that waits. Those
// that a collector of garbage stops for a moment, say, go on as hogs.
void Worker::note_computing(Fiber& self, Nanoseconds now) noexcept {
  self.computed = std::min(self.computed + (now - self.computed_at), kMostComputed);
  self.computed_at = now;
}

// One that is woken and a hog still goes behind the other hogs. Who only slept does not stand
// behind it: of several hogs that are woken again and again, as by a collector, each would run
// before it.
bool Worker::goes_on_as_hog(Fiber& fiber) noexcept {
  const Nanoseconds now = monotonic_now();
  fiber.computed -= now - fiber.computed_at;
  fiber.computed_at = now;
  fiber.computes = fiber.computed > 0 && group != nullptr && !reserved;
  if (!fiber.computes || fiber.pinned) return false;
  group->add_preempted(&fiber, Preemption::kSliceEnded);
  return true;
}

// A hog that is pinned has nowhere else to stand than among the woken, but runs as a hog.
void Worker::go_on_computing(Fiber& fiber) noexcept {
  fiber.computed_at = monotonic_now();
  group->woken_hog_goes_on(*this);
}

Preemption Worker::preemption_at_kick(bool tick) noexcept {
  if (tick && strike()) return Preemption::kSliceEnded;
  if (hog_run.is_to_end_turn(stats.switches)) return Preemption::kSliceEnded;
  return hog_run.is_to_give_way(stats.switches) ? Preemption::kGivesWay : Preemption::kNone;
}

void Worker::preempt_on_way_out(Preemption why) noexcept {
  const bool ends = preemption_due == Preemption::kSliceEnded && preempts_at_ == stats.switches;
  if (ends) return;
  preempts_at_ = stats.switches;
  preemption_due = why;
}

void Worker::carry_out_preemption() noexcept {
  const Preemption why = preemption_due;
  preemption_due = Preemption::kNone;
  // It may have been another fiber's, which has given the processor up by itself.
  if (why != Preemption::kNone && preempts_at_ == stats.switches) preempt_current(why);
}

void Worker::preempt_current(Preemption why) noexcept {
  if (why != Preemption::kHasWoken) {
    turns_left_ = 0;  // the hub is due: what became ready meanwhile runs first
    looks_left_ = 0;
  }
  ++stats.preemptions;
  const Nanoseconds now = monotonic_now();
  if (hog_run.lasts(stats.switches)) computed_last_ = now;
  Fiber* self = current;
  if (self->computes) {
    note_computing(*self, now);
  } else if (why == Preemption::kSliceEnded && group != nullptr && !reserved) {
    self->computes = true;
    self->computed = kLeastComputed;
    self->computed_at = now;
  }
  preempting_ = why;
  only_yielded_ = false;
  self->state.store(FiberState::kYielding, std::memory_order_relaxed);
  switch_away(self);
}

// A turn is counted from the first look at it.
bool Worker::turn_is_over() noexcept {
  const uint64_t now = cycle_count();
  if (turn_at_ != stats.switches) {
    turn_at_ = stats.switches;
    turn_began_ = now;
  }
  return now - turn_began_ > kCyclesPerTurn;
}

// To the end of the queue of those that were woken. Who answers a client on the same core finds the
// next request whenever it looks for it, and never waits. No tick finds it running as the one
// before did, so its slice is counted here.
void Worker::end_turn() noexcept {
  if (current == &hub || reserved || seeded_schedule().is_on() || hog_run.lasts(stats.switches))
    return;
  Fiber& self = *current;
  const uint64_t waits = wait_word::epoch(self.wait_word.load(std::memory_order_relaxed));
  self.ended_turns = self.ended_turns_after == waits ? self.ended_turns + 1 : 1;
  self.ended_turns_after = waits;
  if (group != nullptr && self.ended_turns >= kTurnsPerSlice) {
    self.ended_turns = 0;
    return preempt_current(Preemption::kSliceEnded);
  }
  turns_left_ = 0;
  looks_left_ = 0;
  self.state.store(FiberState::kWakePending, std::memory_order_relaxed);
  switch_away(&self);
}

void Worker::give_way_if_woken() noexcept {
  if (anything_woken()) preempt_current(Preemption::kGivesWay);
}

// At the end of its system call, as the Linux kernel lets who sleeps much go before who computes.
// Who waits for a turn of the hog's own (a lock that is handed to and fro, a queue of one) would
// have one answer for each interruption by the watchdog's thread otherwise.
void Worker::hog_has_woken() noexcept {
  if (group->anybody_sleeps()) return;  // and will take it
  const Deadline owed_until = hog_run.owed_until();
  if (owed_until != 0 && monotonic_now() < owed_until) return;
  const bool due = preemption_due != Preemption::kNone && preempts_at_ == stats.switches;
  if (!due) preempt_on_way_out(Preemption::kHasWoken);
}

void Worker::interrupt_hog(Preemption why) noexcept {
  SpinGuard guard(hog_run.lock());
  const uint64_t switches = switches_so_far();
  if (!hog_run.lasts(switches)) return;
  if (why == Preemption::kSliceEnded) {
    hog_run.ask_to_end_turn(switches);
  } else {
    hog_run.ask_to_give_way(switches);
  }
  interrupt_call(os_tid);
}

}  // namespace tendril::rt
