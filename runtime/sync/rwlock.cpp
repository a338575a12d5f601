#include "tendril/rwlock.hpp"

#include "runtime/sync/wait_list.hpp"
#include "tendril/errors.hpp"

namespace tendril {

using namespace detail;

void* RWLock::grant_whom_it_may() noexcept {
  rt::Fiber* chain = nullptr;
  rt::Fiber** end = &chain;
  while (ApiWaiter* waiter = waiters_.head) {
    const bool wants_to_write = waiter->index == 1;
    if (writer_ != nullptr || (wants_to_write && readers_ > 0)) break;
    detail::unlink(waiters_, *waiter);
    if (!rt::claim(waiter->token)) continue;
    waiter->granted = true;
    if (wants_to_write) {
      writer_ = waiter->token.fiber;
    } else {
      ++readers_;
    }
    waiter->token.fiber->next_ready = nullptr;
    *end = waiter->token.fiber;
    end = &waiter->token.fiber->next_ready;
  }
  return chain;
}

bool RWLock::acquire(bool writer, Duration timeout) {
  Guard guard(lock_);
  ApiWaiter waiter;
  waiter.index = writer ? 1 : 0;
  const auto may_go_on = [&] {
    // Those in the list go first, but for those who came after one that was disturbed.
    if (writer_ != nullptr || (waiters_.head != nullptr && !waiter.disturbed)) return false;
    if (!writer) {
      ++readers_;
      return true;
    }
    if (readers_ > 0) return false;
    writer_ = guard.fiber();
    return true;
  };
  if (may_go_on()) return true;
  // Who leaves without the lock may have been in the way of those behind.
  const auto let_others_pass = [&] {
    Guard again(lock_);
    auto* chain = static_cast<rt::Fiber*>(grant_whom_it_may());
    again.release();
    let_all_run(chain);
  };
  for (;;) {
    Ended ended;
    try {
      ended = block(guard, waiters_, waiter, rt::WaitKind::kLock, this, timeout);
    } catch (...) {
      let_others_pass();
      throw;
    }
    if (ended == Ended::kGranted) return true;
    if (ended == Ended::kTimeout) {
      let_others_pass();
      return false;
    }
    if (may_go_on()) {
      if (!writer) {  // others that read may be behind
        guard.release();
        let_others_pass();
      }
      return true;
    }
  }
}

void RWLock::unlock() {
  Guard guard(lock_);
  if (writer_ != guard.fiber()) {
    guard.release();
    throw MisuseError("tendril: an RWLock is unlocked by a fiber that does not hold it");
  }
  writer_ = nullptr;
  auto* chain = static_cast<rt::Fiber*>(grant_whom_it_may());
  guard.release();
  let_all_run(chain);
}

void RWLock::unlock_shared() {
  Guard guard(lock_);
  if (readers_ == 0) {
    guard.release();
    throw MisuseError("tendril: an RWLock is unlocked by a reader while nobody reads");
  }
  --readers_;
  auto* chain = static_cast<rt::Fiber*>(grant_whom_it_may());
  guard.release();
  let_all_run(chain);
}

}  // namespace tendril
