#include "tendril/mutex.hpp"

#include "runtime/sync/wait_list.hpp"
#include "tendril/errors.hpp"

namespace tendril {

using namespace detail;

bool Mutex::try_lock_for(Duration timeout) {
  Guard guard(lock_);
  return wait_until(guard, waiters_, rt::WaitKind::kLock, this, timeout, [&] {
    if (owner_ != nullptr) return false;
    owner_ = guard.fiber();
    return true;
  });
}

void Mutex::lock_in_general() {
  const auto take = [this](rt::Worker* me) {
    if (owner_ != nullptr) return false;
    owner_ = me->current;
    return true;
  };
  if (__builtin_expect(quickly(lock_, take), true)) return;
  try_lock_for(kForever);
}

void Mutex::unlock_in_general() {
  const auto give_back = [this](rt::Worker* me) {
    if (owner_ != me->current || waiters_.head != nullptr) return false;
    owner_ = nullptr;
    return true;
  };
  if (__builtin_expect(quickly(lock_, give_back), true)) return;
  Guard guard(lock_);
  if (__builtin_expect(owner_ != guard.fiber(), false)) {
    guard.release();
    throw MisuseError("tendril: a Mutex is unlocked by a fiber that does not hold it");
  }
  if (__builtin_expect(waiters_.head == nullptr, true)) {
    owner_ = nullptr;
    return;
  }
  ApiWaiter* next = grant_first(waiters_);
  owner_ = next != nullptr ? next->token.fiber : nullptr;
  guard.release();
  if (next != nullptr) rt::let_run(next->token.fiber);
}

bool Mutex::locked() const {
  Guard guard(lock_);
  return owner_ != nullptr;
}

bool Mutex::held_here() const {
  Guard guard(lock_);
  return owner_ == guard.fiber();
}

bool RLock::try_lock_for(Duration timeout) {
  if (!mutex_.held_here() && !mutex_.try_lock_for(timeout)) return false;
  ++depth_;
  return true;
}

void RLock::unlock() {
  if (!mutex_.held_here()) {
    throw MisuseError("tendril: an RLock is unlocked by a fiber that does not hold it");
  }
  if (--depth_ == 0) mutex_.unlock();
}

}  // namespace tendril
