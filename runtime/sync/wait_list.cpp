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

bool block(Guard& guard, WaitList& list, ApiWaiter& waiter, rt::WaitKind kind, const void* object,
           Duration timeout) {
  if (timeout <= Duration::zero()) {
    guard.release();
    return false;
  }
  if (__builtin_expect(is_hub(guard.fiber()), false)) {
    guard.release();
    refuse_on_hub();
  }
  const rt::Deadline deadline = deadline_of(timeout);
  rt::WakeReason reason;
  {
    // A wait that is open must not be disturbed until it is parked.
    const SectionOf section(guard);
    waiter.token = rt::begin_wait(kind, object);
    push_back(list, waiter);
    guard.release();
    reason = park_attentively(waiter.token, deadline);
  }
  if (__builtin_expect(reason == rt::WakeReason::kWoken, true)) return true;
  return wait_on(guard, list, waiter, kind, object, deadline, reason);
}

bool wait_on(Guard& guard, WaitList& list, ApiWaiter& waiter, rt::WaitKind kind, const void* object,
             rt::Deadline deadline, rt::WakeReason reason) {
  for (;;) {
    if (reason == rt::WakeReason::kWoken) return true;
    // Ended by somebody who does not know the list. Those who do find the wait ended.
    guard.acquire();
    if (waiter.linked) unlink(list, waiter);
    guard.release();
    if (reason == rt::WakeReason::kTimeout) return false;
    on_interrupted(waiter.token.fiber);
    guard.acquire();
    const SectionOf section(guard);
    waiter.token = rt::begin_wait(kind, object);
    push_front(list, waiter);
    guard.release();
    reason = park_attentively(waiter.token, deadline);
  }
}

}  // namespace tendril::detail
