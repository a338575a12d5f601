#include "runtime/sync/wait_list.hpp"

#include "runtime/sync/attention.hpp"

namespace tendril::detail {

rt::Fiber* grant_all(WaitList& list) noexcept {
  rt::Fiber* chain = nullptr;
  rt::Fiber* last = nullptr;
  while (ApiWaiter* waiter = grant_first(list)) {
    rt::Fiber* fiber = waiter->token.fiber;
    fiber->next_ready = nullptr;
    (last != nullptr ? last->next_ready : chain) = fiber;
    last = fiber;
  }
  return chain;
}

void let_all_run(rt::Fiber* chain) noexcept {
  while (chain != nullptr) {
    rt::Fiber* next = chain->next_ready;
    rt::let_run(chain);
    chain = next;
  }
}

bool block(Guard& guard, WaitList& list, ApiWaiter& waiter, rt::Worker* me, rt::WaitKind kind,
           const void* object, Duration timeout) {
  if (timeout <= Duration::zero()) {
    guard.release();
    return false;
  }
  if (__builtin_expect(me->current == &me->hub, false)) {
    guard.release();
    require_fiber(me);
  }
  const rt::Deadline deadline = deadline_of(timeout);
  waiter.token = rt::begin_wait(kind, object);
  push_back(list, waiter);
  guard.release();
  return park_until_granted(guard, list, waiter, kind, object, deadline);
}

bool park_until_granted(Guard& guard, WaitList& list, ApiWaiter& waiter, rt::WaitKind kind,
                        const void* object, rt::Deadline deadline) {
  for (;;) {
    const rt::WakeReason reason = rt::park(deadline);
    if (__builtin_expect(reason == rt::WakeReason::kWoken, true)) return true;
    // Ended by somebody who does not know the list. Those who do find the wait ended.
    guard.acquire(this_worker());
    if (waiter.linked) unlink(list, waiter);
    guard.release();
    if (reason == rt::WakeReason::kTimeout) return false;
    on_interrupted(waiter.token.fiber);
    guard.acquire(this_worker());
    waiter.token = rt::begin_wait(kind, object);
    push_front(list, waiter);
    guard.release();
  }
}

}  // namespace tendril::detail
