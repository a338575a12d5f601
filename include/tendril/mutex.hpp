// Locks between fibers, and between OS threads. (gevent: lock.RLock, lock.BoundedSemaphore(1))
//
// FIFO and fair: unlock hands the lock to who waits longest, if that is a fiber of the same OS
// thread. One of another OS thread is woken and tries again, for the time that this takes would be
// everybody's; others may be faster meanwhile, for a millisecond, after which it is handed the lock
// too. They fit std::lock_guard, std::unique_lock and std::scoped_lock. An unlock by somebody who
// does not hold the lock throws MisuseError. A wait ends by an exception when the fiber is killed;
// then the lock is not held.
#pragma once

#include <atomic>
#include <cstdint>

#include "tendril/detail/sync_state.hpp"
#include "tendril/time.hpp"

namespace tendril {

// Locking it twice in one fiber waits for ever.
class Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() {
    const auto take = [this](const void* me) {
      if (owner() != nullptr) return false;
      set_owner(me);
      return true;
    };
    if (__builtin_expect(!detail::plainly(lock_, take), false)) lock_in_general();
  }
  bool try_lock() { return try_lock_for(Duration::zero()); }
  bool try_lock_for(Duration timeout);
  void unlock() {
    const auto give_back = [this](const void* me) {
      if (owner() != me || waiters_.head != nullptr) return false;
      set_owner(nullptr);
      return true;
    };
    if (__builtin_expect(!detail::plainly(lock_, give_back), false)) unlock_in_general();
  }

  bool locked() const;
  bool held_here() const;  // by the running fiber

 private:
  void lock_in_general();
  void unlock_in_general();
  void let_owner_leave() const noexcept;
  const void* owner() const noexcept { return owner_.load(std::memory_order_relaxed); }
  void set_owner(const void* fiber) noexcept { owner_.store(fiber, std::memory_order_release); }

  mutable detail::BiasedLock lock_;
  // The fiber; guarded by lock_, as are the waiters, and read without it as a hint.
  std::atomic<const void*> owner_{nullptr};
  detail::WaitList waiters_;
  // The other OS thread of whose fibers one was woken, and has not tried again yet. Guarded by
  // lock_.
  const void* called_ = nullptr;
};

// A fiber that holds it may lock it again; it is free after as many unlocks. (gevent: RLock)
class RLock {
 public:
  RLock() = default;
  RLock(const RLock&) = delete;
  RLock& operator=(const RLock&) = delete;

  void lock() { try_lock_for(kForever); }
  bool try_lock() { return try_lock_for(Duration::zero()); }
  bool try_lock_for(Duration timeout);
  void unlock();

  bool held_here() const { return mutex_.held_here(); }

 private:
  Mutex mutex_;
  uint32_t depth_ = 0;  // the owner's
};

}  // namespace tendril
