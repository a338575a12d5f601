// Waiting for a change of what a lock guards. (gevent: lock.Condition; std::condition_variable_any)
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "tendril/detail/sync_state.hpp"
#include "tendril/time.hpp"

namespace tendril {

// With a Mutex, an RLock held once, or a std::unique_lock of one. FIFO. No spurious wake-ups. When
// a wait ends by an exception (kill, Timeout) the lock is held again too.
class Condition {
 public:
  Condition() = default;
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;

  // Unlocks, waits, locks again. False if the timeout passed before a notify.
  template <typename Lock>
  bool wait(Lock& lock, Duration timeout = kForever) {
    return wait_unlocked(
        &lock, [](void* l) { static_cast<Lock*>(l)->unlock(); },
        [](void* l) { static_cast<Lock*>(l)->lock(); }, timeout);
  }

  // Until the predicate holds; false if it does not when the timeout has passed.
  template <typename Lock, std::predicate Predicate>
  bool wait(Lock& lock, Predicate predicate, Duration timeout = kForever) {
    const auto end = timeout == kForever ? std::chrono::steady_clock::time_point::max()
                                         : std::chrono::steady_clock::now() + timeout;
    while (!predicate()) {
      const Duration left =
          timeout == kForever ? kForever : Duration(end - std::chrono::steady_clock::now());
      if (left <= Duration::zero() || !wait(lock, left)) return predicate();
    }
    return true;
  }

  void notify_one() { notify(1); }
  void notify_all() { notify(static_cast<size_t>(-1)); }
  void notify(size_t count);

 private:
  bool wait_unlocked(void* lock, void (*unlock)(void*), void (*relock)(void*), Duration timeout);

  detail::BiasedLock lock_;
  detail::WaitList waiters_;  // guarded by lock_
  uint64_t notified_ = 0;     // how often; guarded by lock_
};

}  // namespace tendril
