#include "tendril/mutex.hpp"

#include "runtime/sync/wait_list.hpp"
#include "tendril/errors.hpp"

namespace tendril {

using namespace detail;

namespace {

// For how long others may be faster than who waits on another OS thread.
constexpr rt::Nanoseconds kPatience = 1'000'000;

}  // namespace

bool Mutex::try_lock_for(Duration timeout) {
  Guard guard(lock_);
  const auto take = [&] {
    if (owner() != nullptr) return false;
    set_owner(guard.fiber());
    return true;
  };
  if (__builtin_expect(take(), true)) return true;
  ApiWaiter waiter;
  rt::Deadline insists_from = 0;
  do {
    const Ended ended = block(guard, waiters_, waiter, rt::WaitKind::kLock, this, timeout);
    if (ended == Ended::kTimeout) return false;
    if (ended == Ended::kGranted) {
      if (waiter.granted) return true;
      let_owner_leave();
      guard.acquire();
      called_ = nullptr;
      waiter.disturbed = true;  // it is still the first
      const rt::Deadline now = rt::monotonic_now();
      if (insists_from == 0) insists_from = now + kPatience;
      waiter.insists = now >= insists_from;
    }
  } while (!take());
  return true;
}

// An owner that runs on another OS thread is mostly out sooner than it takes to wait and be woken.
// Who does this does not wait yet: those who do go before it.
void Mutex::let_owner_leave() const noexcept {
  constexpr int kLooks = 40;  // some 2 µs
  for (int i = 0; i < kLooks; ++i) {
    const auto* fiber = static_cast<const rt::Fiber*>(owner_.load(std::memory_order_acquire));
    if (fiber == nullptr ||  // else to be looked at: fibers are never unmapped
        fiber->state.load(std::memory_order_relaxed) != rt::FiberState::kRunning) {
      return;
    }
    asm volatile("pause");
  }
}

void Mutex::lock_in_general() {
  const auto take = [this](rt::Worker* me) {
    if (owner() != nullptr) return false;
    set_owner(me->current);
    return true;
  };
  if (__builtin_expect(quickly(lock_, take), true)) return;
  let_owner_leave();
  try_lock_for(kForever);
}

void Mutex::unlock_in_general() {
  const auto give_back = [this](rt::Worker* me) {
    if (owner() != me->current || waiters_.head != nullptr) return false;
    set_owner(nullptr);
    return true;
  };
  if (__builtin_expect(quickly(lock_, give_back), true)) return;
  Guard guard(lock_);
  if (__builtin_expect(owner() != guard.fiber(), false)) {
    guard.release();
    throw MisuseError("tendril: a Mutex is unlocked by a fiber that does not hold it");
  }
  if (__builtin_expect(waiters_.head == nullptr, true)) {
    set_owner(nullptr);
    return;
  }
  const ApiWaiter& first = *waiters_.head;
  const rt::Worker* its_thread = first.token.fiber->worker;
  ApiWaiter* next = nullptr;
  if (first.insists || its_thread == rt::current_worker_unchecked()) {
    next = grant_first(waiters_);
    set_owner(next != nullptr ? next->token.fiber : nullptr);
  } else {
    set_owner(nullptr);
    if (called_ != its_thread) {
      next = claim_first(waiters_);
      called_ = next != nullptr ? next->token.fiber->worker : nullptr;
    }
  }
  guard.release();
  if (next != nullptr) rt::let_run(next->token.fiber);
}

bool Mutex::locked() const {
  Guard guard(lock_);
  return owner() != nullptr;
}

bool Mutex::held_here() const {
  Guard guard(lock_);
  return owner() == guard.fiber();
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
