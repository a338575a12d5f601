// A lock for many readers or one writer. (std::shared_mutex; gevent has none)
#pragma once

#include <cstddef>

#include "tendril/detail/sync_state.hpp"
#include "tendril/time.hpp"

namespace tendril {

// FIFO and fair: a reader that comes after a waiting writer waits behind it, so neither starves.
// Fits std::unique_lock and std::shared_lock. Not recursive.
class RWLock {
 public:
  RWLock() = default;
  RWLock(const RWLock&) = delete;
  RWLock& operator=(const RWLock&) = delete;

  void lock() { acquire(true, kForever); }
  bool try_lock() { return acquire(true, Duration::zero()); }
  bool try_lock_for(Duration timeout) { return acquire(true, timeout); }
  void unlock();

  void lock_shared() { acquire(false, kForever); }
  bool try_lock_shared() { return acquire(false, Duration::zero()); }
  bool try_lock_shared_for(Duration timeout) { return acquire(false, timeout); }
  void unlock_shared();

 private:
  bool acquire(bool writer, Duration timeout);
  void* grant_whom_it_may() noexcept;  // a chain for let_all_run; lock_ held

  detail::BiasedLock lock_;
  size_t readers_ = 0;            // guarded by lock_, as is the rest
  const void* writer_ = nullptr;  // the fiber
  detail::WaitList waiters_;      // ApiWaiter::index is 1 for writers
};

}  // namespace tendril
