#include "tendril/semaphore.hpp"

#include "runtime/sync/wait_list.hpp"
#include "tendril/errors.hpp"

namespace tendril {

using namespace detail;

bool Semaphore::acquire(Duration timeout) {
  const auto take = [this](rt::Worker*) {
    if (value_ == 0) return false;
    --value_;
    return true;
  };
  if (quickly(lock_, take)) return true;
  Guard guard(lock_);
  return wait_until(guard, waiters_, rt::WaitKind::kLock, this, timeout,
                    [&] { return take(nullptr); });
}

void Semaphore::release(size_t units) { release_bounded(units, SIZE_MAX); }

void Semaphore::release_bounded(size_t units, size_t bound) {
  Guard guard(lock_);
  if (units > bound - value_) {
    guard.release();
    throw MisuseError("tendril: a BoundedSemaphore is released more often than acquired");
  }
  rt::Fiber* chain = nullptr;
  rt::Fiber** end = &chain;
  for (; units > 0; --units) {
    ApiWaiter* waiter = waiters_.head != nullptr ? grant_first(waiters_) : nullptr;
    if (waiter == nullptr) break;
    waiter->token.fiber->next_ready = nullptr;
    *end = waiter->token.fiber;
    end = &waiter->token.fiber->next_ready;
  }
  value_ += units;
  guard.release();
  let_all_run(chain);
}

size_t Semaphore::value() const {
  Guard guard(lock_);
  return value_;
}

bool Semaphore::wait(Duration timeout) {
  if (!acquire(timeout)) return false;
  release();
  return true;
}

}  // namespace tendril
