#include "runtime/hub/park.hpp"

#include "runtime/hub/alone_switch.hpp"
#include "runtime/hub/fatal.hpp"
#include "runtime/hub/process.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/hub/worker_group.hpp"
#include "runtime/platform/asymmetric_fence.hpp"
#include "runtime/platform/runtime_mode.hpp"

namespace tendril::rt {
namespace {

void on_deadline(Timer* timer, uint64_t open_word) noexcept {
  auto* fiber =
      reinterpret_cast<Fiber*>(reinterpret_cast<char*>(timer) - __builtin_offsetof(Fiber, timer));
  wake({fiber, open_word}, WakeReason::kTimeout);
}

void make_ready(Fiber* fiber) noexcept {
  fiber->state.store(FiberState::kReady, std::memory_order_relaxed);
  Worker::schedule(fiber);
}

// The wait's claimer passes the permit to run: exactly once for each claim.
void pass_permit(Fiber* fiber) noexcept {
  Worker* home = fiber->worker;
  if (home->waits_plainly) {
    if (current_worker() != home) {
      home->inbox.push(fiber);  // its hub finds it parked: nothing runs there between wait and park
      home->ring();
    } else {
      home->let_run_plainly(fiber);
    }
    return;
  }
  if (fiber->state.exchange(FiberState::kWakePending, std::memory_order_acq_rel) ==
      FiberState::kParked) {
    make_ready(fiber);
  }
}

// False if the permit to run is here already.
bool begin_parking(Fiber& self) noexcept {
  FiberState expected = FiberState::kRunning;
  if (!self.worker->waits_plainly) {
    return self.state.compare_exchange_strong(expected, FiberState::kParking,
                                              std::memory_order_seq_cst);
  }
  if (self.state.load(std::memory_order_relaxed) != expected) return false;
  self.state.store(FiberState::kParking, std::memory_order_relaxed);
  return true;
}

// Inline: a call that never returns would leave one entry more on the CPU's stack of return
// predictions, and whoever runs next would have all its returns mispredicted.
[[noreturn]] inline __attribute__((always_inline)) void end_running_fiber() noexcept {
  enter_runtime_mode();
  Worker* worker = current_worker_unchecked();
  Fiber* self = worker->current;
  if (worker->waits_plainly) {
    worker->fibers.remove(self, worker);
    worker->switch_away_plainly<FiberState::kDead>(self);
  } else {
    self->state.store(FiberState::kDead, std::memory_order_relaxed);
    process().remove_fiber(self);
    Worker::switch_away(self);
  }
  fatal("a dead fiber was resumed");
}

// Keeps the context of a fiber that has ended for the next, and returns when that is to begin.
// False if there is no use for it.
inline __attribute__((always_inline)) bool rest_as_spare(Fiber* self) noexcept {
  Worker* worker = current_worker_unchecked();
  if (!worker->waits_plainly || self->last_rites != release_pool_fiber ||
      self->stack.size != default_stacks().stack_size() || !worker->fibers.wants_spares()) {
    return false;
  }
  worker->fibers.keep_spare(self);
  worker->switch_away_plainly<FiberState::kSpare>(self);
  return true;
}

void fiber_main(boost::context::detail::transfer_t transfer) {
  Worker* worker = current_worker_unchecked();
  Fiber* self = worker->current;
  worker->finish_switch_if_due(static_cast<Fiber*>(arrive(transfer, *self)));
  do {
    self->entry(self, self->argument);
  } while (rest_as_spare(self));
  end_running_fiber();
}

}  // namespace

Fiber* current_fiber() noexcept { return current_worker_unchecked()->current; }

WaitToken begin_wait(WaitKind kind, const void* object, bool shielded) noexcept {
  return begin_wait_of(current_fiber(), kind, object, shielded);
}

bool cancel_wait(WaitToken token) noexcept {
  uint64_t expected = token.open_word;
  return token.fiber->wait_word.compare_exchange_strong(
      expected, wait_word::pack(wait_word::epoch(expected), WakeReason::kNotWaiting));
}

namespace {

// A lock convoy shows by these, see convoy.hpp.
void note_wait(Fiber& self) noexcept {
  Worker* worker = current_worker_unchecked();
  if (worker->group != nullptr && !worker->reserved) worker->note_wait(self);
}
void note_return(Fiber& self) noexcept {
  Worker* worker = current_worker_unchecked();
  if (worker->group == nullptr || worker->reserved) return;
  const WaitKind from = self.wait_kind;
  if (from == WaitKind::kReadable || from == WaitKind::kPoll || from == WaitKind::kWritable ||
      from == WaitKind::kSleep || from == WaitKind::kSharedFutex) {
    worker->note_return_from_outside(self);
  }
}

WakeReason park_in_general(Fiber* self, Deadline deadline) noexcept {
  note_wait(*self);
  const uint64_t word = self->wait_word.load(std::memory_order_relaxed);
  const uint64_t epoch = wait_word::epoch(word);
  const bool parking = begin_parking(*self);
  // Between the store of the wait word, in begin_wait, and this load was a full barrier, or
  // interrupt() makes us pass one; it stores and loads the other way round. So at least one sees
  // the other's store.
  if (wait_word::reason(word) == WakeReason::kNone &&
      self->interrupt_pending.load(std::memory_order_seq_cst)) {
    uint64_t open = word;
    if (self->wait_word.compare_exchange_strong(open,
                                                wait_word::pack(epoch, WakeReason::kInterrupted))) {
      // Claimed by ourselves: no permit is on its way, and nobody else changes the state.
      self->state.store(FiberState::kRunning, std::memory_order_relaxed);
      self->wait_kind = WaitKind::kNone;
      return WakeReason::kInterrupted;
    }
  }
  const bool timed = parking && deadline != kForever;
  if (timed) {
    const uint64_t open = wait_word::reason(word) == WakeReason::kShielded
                              ? word
                              : wait_word::pack(epoch, WakeReason::kNone);
    self->timer.fire = on_deadline;
    Worker* worker = self->worker;
    if (!worker->timers.arm(&self->timer, deadline, open)) fatal("out of memory for timers");
    if (worker->group != nullptr) worker->group->timer_armed(*worker);
  }
  if (parking) {
    Worker::switch_away(self);
  } else {
    self->state.store(FiberState::kRunning, std::memory_order_relaxed);  // the permit was here
  }
  note_return(*self);
  self->wait_kind = WaitKind::kNone;
  const WakeReason reason = wait_word::reason(self->wait_word.load(std::memory_order_acquire));
  // Only the timer itself says that the time is up, and then it is armed no more.
  if (timed && reason != WakeReason::kTimeout) self->timer.queue->cancel(&self->timer);
  return reason;
}

}  // namespace

WakeReason park(Deadline deadline) noexcept {
  RuntimeSection section;
  Worker* worker = current_worker_unchecked();
  Fiber* self = worker->current;
  if (!worker->waits_plainly || deadline != kForever || !worker->park_plainly(self)) {
    return park_in_general(self, deadline);
  }
  return wait_word::reason(self->wait_word.load(std::memory_order_acquire));
}

void let_run(Fiber* claimed) noexcept {
  RuntimeSection section;
  pass_permit(claimed);
}

bool wake(WaitToken token, WakeReason reason) noexcept {
  RuntimeSection section;
  if (!claim(token, reason)) return false;
  pass_permit(token.fiber);
  return true;
}

void interrupt(Fiber* fiber) noexcept {
  fiber->interrupt_pending.store(true, std::memory_order_seq_cst);
  Worker* home = fiber->worker;
  if (home != nullptr && home->waits_plainly && home != current_worker()) fence_all_threads();
  uint64_t word = fiber->wait_word.load(std::memory_order_seq_cst);
  if (wait_word::reason(word) != WakeReason::kNone) return;
  if (!wake({fiber, word}, WakeReason::kInterrupted)) return;
  // It may be in a call of its own worker's, where no wake is seen.
  Worker* worker = fiber->worker;
  if (worker != nullptr) worker->interrupt_call_here();
}

void yield() noexcept {
  RuntimeSection section;
  Worker* worker = current_worker_unchecked();
  if (!worker->waits_plainly || !worker->yield_plainly()) Worker::yield_current(worker);
}

void end_turn() noexcept {
  RuntimeSection section;
  current_worker_unchecked()->end_turn();
}

void pin_current_fiber() noexcept {
  RuntimeSection section;
  Worker* worker = current_worker_unchecked();
  Fiber* self = worker->current;
  if (worker->group == nullptr || self->pinned) return;
  self->pinned = true;
  Worker* home = worker->group->first();
  if (home == worker) return;
  self->worker = home;
  self->state.store(FiberState::kYielding, std::memory_order_relaxed);
  Worker::switch_away(self);
}

WakeReason sleep_until(Deadline deadline) noexcept {
  RuntimeSection section;
  begin_wait(WaitKind::kSleep, nullptr);
  return park(deadline);
}

namespace {

// The worker's OS thread may be another than the one that a spare fiber ended on.
void prepare(Fiber* fiber, Worker* worker, FiberEntry entry, void* argument) noexcept {
  fiber->fs_base = worker->hub.fs_base;
  fiber->errno_location = worker->hub.errno_location;
  fiber->exception_location = worker->hub.exception_location;
  fiber->entry = entry;
  fiber->argument = argument;
}

}  // namespace

Fiber* take_spare_fiber(Worker* worker, FiberEntry entry, void* argument) noexcept {
  Fiber* fiber = worker->fibers.take_spare();
  if (fiber == nullptr) return nullptr;
  reset_fiber(fiber);
  renew_context(*fiber);
  prepare(fiber, worker, entry, argument);
  return fiber;
}

Fiber* create_fiber(FiberEntry entry, void* argument, StackPool& stacks) noexcept {
  RuntimeSection section;
  Worker* worker = current_worker_unchecked();
  if (&stacks == &default_stacks()) {
    if (Fiber* spare = take_spare_fiber(worker, entry, argument)) return spare;
  }
  Fiber* fiber = take_fiber();
  if (fiber == nullptr) return nullptr;
  fiber->stack = stacks.take();
  if (!fiber->stack) {
    give_back_fiber(fiber);
    return nullptr;
  }
  const Stack stack = fiber->stack;
  // Colour the stack tops, so that thousands of them do not fall into the same cache sets.
  const size_t colour = (fiber->id & 15) * 64;
  make_context(*fiber, stack.top() - 64 - colour, stack.size - 64 - colour, fiber_main);
  prepare(fiber, worker, entry, argument);
  fiber->worker = worker;
  fiber->last_rites = release_pool_fiber;
  return fiber;
}

Fiber* create_fiber_on(FiberEntry entry, void* argument, void* stack_top, size_t stack_size,
                       uintptr_t fs_base) noexcept {
  Fiber* fiber = take_fiber();
  if (fiber == nullptr) return nullptr;
  fiber->fs_base = fs_base;
  make_context(*fiber, stack_top, stack_size, fiber_main);
  fiber->entry = entry;
  fiber->argument = argument;
  fiber->worker = current_worker_unchecked();
  return fiber;
}

void start_fiber(Fiber* fiber) noexcept {
  RuntimeSection section;
  Worker* worker = fiber->worker;
  if (worker->waits_plainly) {
    worker->start_plainly(fiber);
  } else {
    process().add_fiber(fiber);
    make_ready(fiber);
  }
}

void end_fiber() noexcept { end_running_fiber(); }

void release_pool_fiber(Fiber* fiber) noexcept {
  default_stacks().give_back(fiber->stack);
  give_back_fiber(fiber);
}

StackPool& default_stacks() noexcept {
  static constinit StackPool pool(64 * 1024);
  return pool;
}

}  // namespace tendril::rt
