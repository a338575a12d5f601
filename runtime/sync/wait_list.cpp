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

Ended block(Guard& guard, WaitList& list, ApiWaiter& waiter, rt::WaitKind kind, const void* object,
            Duration timeout) {
  if (timeout <= Duration::zero()) {
    guard.release();
    return Ended::kTimeout;
  }
  if (__builtin_expect(is_hub(guard.fiber()), false)) {
    guard.release();
    refuse_on_hub();
  }
  rt::WakeReason reason;
  {
    // A wait that is open must not be disturbed until it is parked.
    const SectionOf section(guard);
    waiter.token = rt::begin_wait(kind, object);
    if (__builtin_expect(waiter.disturbed, false)) {
      push_front(list, waiter);
    } else {
      waiter.deadline = deadline_of(timeout);
      push_back(list, waiter);
    }
    guard.release();
    reason = park_attentively(waiter.token, waiter.deadline);
  }
  if (__builtin_expect(reason == rt::WakeReason::kWoken, true)) return Ended::kGranted;
  return end_wait(guard, list, waiter, reason);
}

Ended end_wait(Guard& guard, WaitList& list, ApiWaiter& waiter, rt::WakeReason reason) {
  if (reason == rt::WakeReason::kWoken) return Ended::kGranted;
  // Ended by somebody who does not know the list. Those who do find the wait ended. It leaves the
  // list now, since a handler may leave this frame by a jump.
  guard.acquire();
  if (waiter.linked) unlink(list, waiter);
  guard.release();
  if (reason == rt::WakeReason::kTimeout) return Ended::kTimeout;
  on_interrupted(waiter.token.fiber);
  waiter.disturbed = true;
  guard.acquire();
  return Ended::kDisturbed;
}

}  // namespace tendril::detail
