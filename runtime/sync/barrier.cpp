#include "tendril/barrier.hpp"

#include "runtime/sync/wait_list.hpp"
#include "tendril/errors.hpp"

namespace tendril {

using namespace detail;

void Latch::count_down(size_t by) {
  Guard guard(lock_);
  if (by > count_) {
    guard.release();
    throw MisuseError("tendril: a Latch is counted down below zero");
  }
  count_ -= by;
  rt::Fiber* chain = count_ == 0 ? grant_all(waiters_) : nullptr;
  guard.release();
  let_all_run(chain);
}

bool Latch::try_wait() const {
  Guard guard(lock_);
  return count_ == 0;
}

bool Latch::wait(Duration timeout) {
  Guard guard(lock_);
  return wait_until(guard, waiters_, rt::WaitKind::kEvent, this, timeout,
                    [this] { return count_ == 0; });
}

void Latch::arrive_and_wait() {
  count_down();
  wait();
}

bool Barrier::arrive_and_wait(Duration timeout) {
  Guard guard(lock_);
  const uint64_t round = rounds_;
  rt::Fiber* chain = nullptr;
  const bool met = wait_until(guard, waiters_, rt::WaitKind::kEvent, this, timeout, [&] {
    if (rounds_ != round) return true;  // the others have met while our wait was disturbed
    // The others who wait, without those whose wait has ended and who have not left yet.
    size_t waiting = 0;
    for (ApiWaiter* waiter = waiters_.head; waiter != nullptr; waiter = waiter->next) ++waiting;
    if (waiting + 1 < parties_) return false;
    // Claimed one by one: if one has gone meanwhile, those claimed are put through all the same,
    // for they had met.
    ++rounds_;
    chain = grant_all(waiters_);
    return true;
  });
  if (chain != nullptr) {
    guard.release();
    let_all_run(chain);
  }
  return met;
}

size_t Barrier::waiting() const {
  Guard guard(lock_);
  size_t waiting = 0;
  for (ApiWaiter* waiter = waiters_.head; waiter != nullptr; waiter = waiter->next) ++waiting;
  return waiting;
}

}  // namespace tendril
