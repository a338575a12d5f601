// Where an armed timer is: one place in a table for each, as long as it is armed.
#pragma once

#include <cstdint>

#include "runtime/platform/clock.hpp"

namespace tendril::rt {

struct Timer;

// Whoever moves in the queue is written to at each step. A timer lies in its fiber, so among
// thousands of them that would be a cache miss: all that moves is kept here.
struct TimerSlot {
  static constexpr uint32_t kNone = UINT32_MAX;

  Timer* timer;  // nullptr while the slot is free
  Deadline when;
  uint32_t place;     // its index in the heap, or kInWheel and its bucket
  uint32_t next;      // in its bucket; of a free slot, the next free one
  uint32_t previous;  // in its bucket
  bool long_wait;     // it was armed more than a tick of the wheel ahead
};

}  // namespace tendril::rt
