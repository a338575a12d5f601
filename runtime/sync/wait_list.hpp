// Waiting for a primitive: who waits, in order, and the one function that blocks.
//
// A primitive looks at its state under its Guard; if it cannot go on, it calls block with a Waiter
// on its own stack. Whoever can let somebody go on grants it under the same lock: what is granted
// (the lock, the item in `value`) is the waiter's from that moment, whatever else happens to it,
// and it runs after the lock has been released. So nothing is lost to a timeout or a kill.
//
// Something may disturb a wait without ending it (a signal of a green thread, a kill of a fiber
// that is shielded). Meanwhile nothing can be granted to it, so whoever was disturbed looks at the
// state again, and waits on at the head of the list if it still has to.
#pragma once

#include <cstdint>

#include "runtime/hub/park.hpp"
#include "runtime/sync/guard.hpp"
#include "runtime/sync/thread.hpp"
#include "tendril/time.hpp"

namespace tendril::detail {

struct ApiWaiter {
  ApiWaiter* next = nullptr;
  ApiWaiter* previous = nullptr;
  rt::WaitToken token;
  uint64_t value = 0;  // what a putter offers, what a getter was given
  uint32_t index = 0;  // which of several operations of a select this is
  rt::Deadline deadline = rt::kForever;
  bool disturbed = false;  // at least once: it has a deadline, and goes before the others
  bool linked = false;
  bool granted = false;
  bool insists = false;  // on being granted what it waits for, where others are only woken to try
  bool closed = false;   // woken because the object was shut down
};

inline void push_back(WaitList& list, ApiWaiter& waiter) noexcept {
  waiter.next = nullptr;
  waiter.previous = list.tail;
  (list.tail != nullptr ? list.tail->next : list.head) = &waiter;
  list.tail = &waiter;
  waiter.linked = true;
}

inline void push_front(WaitList& list, ApiWaiter& waiter) noexcept {
  waiter.previous = nullptr;
  waiter.next = list.head;
  (list.head != nullptr ? list.head->previous : list.tail) = &waiter;
  list.head = &waiter;
  waiter.linked = true;
}

inline void unlink(WaitList& list, ApiWaiter& waiter) noexcept {
  (waiter.previous != nullptr ? waiter.previous->next : list.head) = waiter.next;
  (waiter.next != nullptr ? waiter.next->previous : list.tail) = waiter.previous;
  waiter.linked = false;
}

// The first waiter whose wait could be claimed, unlinked; null if there is none. The caller calls
// let_run on its fiber after the lock has been released.
inline ApiWaiter* claim_first(WaitList& list) noexcept {
  while (ApiWaiter* waiter = list.head) {
    unlink(list, *waiter);
    if (rt::claim(waiter->token)) return waiter;
  }
  return nullptr;
}

// The same, granted.
inline ApiWaiter* grant_first(WaitList& list) noexcept {
  ApiWaiter* waiter = claim_first(list);
  if (waiter != nullptr) waiter->granted = true;
  return waiter;
}

// Grants to all; the claimed fibers are chained by next_ready for let_all_run.
rt::Fiber* grant_all(WaitList& list) noexcept;
void let_all_run(rt::Fiber* chain) noexcept;

// The deadline of a timeout; kForever and what is beyond the clock give rt::kForever.
inline rt::Deadline deadline_of(Duration timeout) noexcept {
  return timeout == kForever ? rt::kForever : rt::deadline_after(timeout.count());
}

enum class Ended : uint8_t {
  kGranted,
  kTimeout,
  kDisturbed,  // look at the state again; the guard is held
};

// Parks the running fiber in the list until granted, or the timeout has passed (at once if it is
// zero), or it is disturbed: then to be called again with the same waiter, or not at all. Throws
// what was thrown into the fiber, and BlockingInHub. Called with the guard held, returns with it
// released but for kDisturbed.
Ended block(Guard& guard, WaitList& list, ApiWaiter& waiter, rt::WaitKind kind, const void* object,
            Duration timeout);

// The rest of block, for who has begun the wait, put the waiter into the list, released the guard
// and parked by itself, with what park returned.
Ended end_wait(Guard& guard, WaitList& list, ApiWaiter& waiter, rt::WakeReason reason);

// For primitives with nothing else to do: until may_go_on(), which is called under the guard and
// takes what there is to take, or until granted. False when the timeout has passed.
template <typename MayGoOn>
inline bool wait_until(Guard& guard, WaitList& list, rt::WaitKind kind, const void* object,
                       Duration timeout, MayGoOn&& may_go_on) {
  if (__builtin_expect(may_go_on(), true)) return true;
  ApiWaiter waiter;
  for (;;) {
    const Ended ended = block(guard, list, waiter, kind, object, timeout);
    if (__builtin_expect(ended != Ended::kDisturbed, true)) return ended == Ended::kGranted;
    if (may_go_on()) return true;
  }
}

}  // namespace tendril::detail
