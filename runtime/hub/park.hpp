// The one suspension primitive: everything that blocks a fiber goes through park.
//
//   WaitToken token = begin_wait(WaitKind::kEvent, this);
//   ... publish the token where the waker will find it (under that structure's lock) ...
//   WakeReason why = park(deadline);
//   ... unless the waker did: take the token back out of the structure ...
//
// A wake between begin_wait and park is not lost: park then returns at once. No lock may be held
// over park.
#pragma once

#include "runtime/fiber/fiber.hpp"
#include "runtime/fiber/wait.hpp"
#include "runtime/platform/clock.hpp"

namespace tendril::rt {

// Precondition for all but wake, wake_up and interrupt: running on a fiber of a worker.

Fiber* current_fiber() noexcept;

// Opens a wait of the running fiber. A shielded wait cannot be interrupted.
WaitToken begin_wait(WaitKind kind, const void* object, bool shielded = false) noexcept;
// The same where the running fiber is at hand.
inline WaitToken begin_wait_of(Fiber* self, WaitKind kind, const void* object,
                               bool shielded = false) noexcept {
  self->wait_kind = kind;
  self->wait_object = object;
  const uint64_t epoch = wait_word::epoch(self->wait_word.load(std::memory_order_relaxed)) + 1;
  const uint64_t open =
      wait_word::pack(epoch, shielded ? WakeReason::kShielded : WakeReason::kNone);
  // park has the other half; where it makes no barrier, interrupt() makes us pass one.
  self->wait_word.store(open, std::memory_order_release);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  return {self, open};
}

// Ends the open wait: returns when somebody has claimed it or the deadline has passed.
WakeReason park(Deadline deadline) noexcept;

// Gives the opened wait up without parking: true if nobody had claimed it. If false, somebody has,
// and park must still be called to collect it.
bool cancel_wait(WaitToken token) noexcept;

// Claims the wait; true if this call ended it. Any thread; not from a signal handler.
bool wake(WaitToken token, WakeReason reason = WakeReason::kWoken) noexcept;

// The two halves of wake, for wakers that hold a lock: claim under it (the fiber cannot run yet, so
// its waiter may still be written to), let_run after it was released.
inline bool claim(WaitToken token, WakeReason reason = WakeReason::kWoken) noexcept {
  uint64_t expected = token.open_word;
  return token.fiber->wait_word.compare_exchange_strong(
      expected, wait_word::pack(wait_word::epoch(expected), reason));
}
void let_run(Fiber* claimed) noexcept;

// Sets interrupt_pending and ends the fiber's open wait, if it has one that is not shielded. The
// fiber clears interrupt_pending when it has dealt with whatever it is. Any thread.
void interrupt(Fiber* fiber) noexcept;

// Lets others run. Returns at once if nothing else is ready.
void yield() noexcept;

// After a call that did not wait, where Worker::turn_may_be_over.
void end_turn() noexcept;

// In a group: the fiber moves to the first worker, which alone has a libuv loop and a C library's
// thread control block, and stays there. Elsewhere nothing changes.
void pin_current_fiber() noexcept;

// kTimeout when the time has come, else kInterrupted.
WakeReason sleep_until(Deadline deadline) noexcept;

// A fiber of the calling worker on a stack from the pool, not yet started; null when out of memory.
Fiber* create_fiber(FiberEntry entry, void* argument, StackPool& stacks) noexcept;

// A fiber on memory that somebody else owns, with an FS base of its own.
Fiber* create_fiber_on(FiberEntry entry, void* argument, void* stack_top, size_t stack_size,
                       uintptr_t fs_base) noexcept;

// The same from those that the worker keeps, which waits plainly; null if there are none.
Fiber* take_spare_fiber(Worker* worker, FiberEntry entry, void* argument) noexcept;

// Makes a new fiber ready (it runs later).
void start_fiber(Fiber* fiber) noexcept;

// Ends the running fiber; its last_rites run once its stack has been left.
[[noreturn]] void end_fiber() noexcept;

// For `last_rites` of fibers on pool stacks: gives stack and fiber back.
void release_pool_fiber(Fiber* fiber) noexcept;

// The pool of default-sized stacks (64 KiB).
StackPool& default_stacks() noexcept;

}  // namespace tendril::rt
