#include "tendril/condition.hpp"

#include "runtime/sync/attention.hpp"
#include "runtime/sync/wait_list.hpp"

namespace tendril {

using namespace detail;

bool Condition::wait_unlocked(void* lock, void (*unlock)(void*), void (*relock)(void*),
                              Duration timeout) {
  require_fiber();
  const rt::Deadline deadline = deadline_of(timeout);
  ApiWaiter waiter;
  // In the list before the lock is free, so that no notify after that is missed.
  Guard guard(lock_);
  SectionOf section(guard);  // a wait that is open must not be disturbed until it is parked
  waiter.token = rt::begin_wait(rt::WaitKind::kEvent, this);
  push_back(waiters_, waiter);
  const uint64_t before = notified_;
  guard.release();
  try {
    unlock(lock);  // in runtime mode, which our own locks do not mind
  } catch (...) {
    guard.acquire();
    if (waiter.linked) detail::unlink(waiters_, waiter);
    guard.release();
    if (!rt::cancel_wait(waiter.token)) rt::park(rt::kForever);
    throw;
  }
  waiter.deadline = deadline;
  bool notified;
  try {
    const rt::WakeReason reason = park_attentively(waiter.token, deadline);
    section.end();
    Ended ended = end_wait(guard, waiters_, waiter, reason);
    while (ended == Ended::kDisturbed) {
      // A notification that came since cannot have been given to a wait that had ended.
      if (notified_ != before) {
        guard.release();
        ended = Ended::kGranted;
      } else {
        ended = block(guard, waiters_, waiter, rt::WaitKind::kEvent, this, timeout);
      }
    }
    notified = ended == Ended::kGranted;
  } catch (...) {
    const Shield shield(current_record());
    relock(lock);
    throw;
  }
  const Shield shield(current_record());
  relock(lock);
  return notified;
}

void Condition::notify(size_t count) {
  rt::Fiber* chain = nullptr;
  rt::Fiber** end = &chain;
  Guard guard(lock_);
  ++notified_;
  for (; count > 0 && waiters_.head != nullptr; --count) {
    ApiWaiter* waiter = grant_first(waiters_);
    if (waiter == nullptr) break;
    waiter->token.fiber->next_ready = nullptr;
    *end = waiter->token.fiber;
    end = &waiter->token.fiber->next_ready;
  }
  guard.release();
  let_all_run(chain);
}

}  // namespace tendril
