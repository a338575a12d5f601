// The part of a Timeout scope that its timer and its fiber's record refer to.
#pragma once

#include "runtime/fiber/timer.hpp"
#include "runtime/platform/spin_lock.hpp"
#include "tendril/detail/fiber_record.hpp"

namespace tendril {
class Timeout;
}

namespace tendril::detail {

// From a type-stable pool: the timer may be firing while the scope ends, and then finds another
// start (its cookie) or none.
struct TimeoutRecord {
  rt::Timer timer;
  rt::SpinLock lock;   // guards start and target against the timer
  uint64_t start = 0;  // number of the running start; 0: not running
  FiberRecord* target = nullptr;
  rt::Deadline when = 0;  // of the running start; own fiber only
  // Guarded by the target's lock:
  TimeoutRecord* outer = nullptr;
  const Timeout* scope = nullptr;
  bool fired = false;    // has passed and was not thrown yet
  bool expired = false;  // has passed
};

}  // namespace tendril::detail
