// Counting semaphores between fibers, and between OS threads. (gevent: lock.Semaphore,
// BoundedSemaphore)
#pragma once

#include <cstddef>
#include <cstdint>

#include "tendril/detail/sync_state.hpp"
#include "tendril/time.hpp"

namespace tendril {

// FIFO and fair: release hands the unit to who waits longest.
class Semaphore {
 public:
  explicit Semaphore(size_t value = 1) noexcept : value_(value) {}
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  // Takes a unit; false if the timeout passed first.
  bool acquire(Duration timeout = kForever);
  bool try_acquire() { return acquire(Duration::zero()); }
  void release(size_t units = 1);

  size_t value() const;  // units that are free
  bool locked() const { return value() == 0; }
  // Waits until a unit is free without taking it. (gevent: wait)
  bool wait(Duration timeout = kForever);

 protected:
  void release_bounded(size_t units, size_t bound);

 private:
  friend struct detail::SelectAccess;
  mutable detail::BiasedLock lock_;
  size_t value_;  // guarded by lock_, as are the waiters
  detail::WaitList waiters_;
};

// Throws MisuseError when more is released than was taken.
class BoundedSemaphore : public Semaphore {
 public:
  explicit BoundedSemaphore(size_t value = 1) noexcept : Semaphore(value), bound_(value) {}
  void release(size_t units = 1) { release_bounded(units, bound_); }
  size_t bound() const noexcept { return bound_; }

 private:
  const size_t bound_;
};

}  // namespace tendril
