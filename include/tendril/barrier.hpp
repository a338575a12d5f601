// Meeting points. (std::latch, std::barrier; gevent has none)
#pragma once

#include <cstddef>
#include <cstdint>

#include "tendril/detail/sync_state.hpp"
#include "tendril/time.hpp"

namespace tendril {

// Opens for ever when it was counted down to zero.
class Latch {
 public:
  explicit Latch(size_t count) noexcept : count_(count) {}
  Latch(const Latch&) = delete;
  Latch& operator=(const Latch&) = delete;

  void count_down(size_t by = 1);  // throws MisuseError below zero
  bool try_wait() const;
  bool wait(Duration timeout = kForever);  // false if the timeout passed first
  void arrive_and_wait();

 private:
  mutable detail::BiasedLock lock_;
  size_t count_;  // guarded by lock_, as are the waiters
  detail::WaitList waiters_;
};

// Lets `parties` fibers through whenever so many wait, again and again.
class Barrier {
 public:
  explicit Barrier(size_t parties) noexcept : parties_(parties == 0 ? 1 : parties) {}
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;

  // False if the timeout passed first; then, as after a kill, this fiber does not count as arrived.
  bool arrive_and_wait(Duration timeout = kForever);
  size_t waiting() const;
  size_t parties() const noexcept { return parties_; }

 private:
  mutable detail::BiasedLock lock_;
  const size_t parties_;
  detail::WaitList waiters_;  // guarded by lock_
  uint64_t rounds_ = 0;       // how often so many have met; guarded by lock_
};

}  // namespace tendril
