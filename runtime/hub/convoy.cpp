#include "runtime/hub/convoy.hpp"

#include <algorithm>

namespace tendril::rt {

void Convoy::judged(bool futile) noexcept {
  const uint32_t useful = useful_.load(std::memory_order_relaxed);
  const Nanoseconds pause = pause_.load(std::memory_order_relaxed);
  if (!futile) {  // what the rest do while others are held back says nothing about all
    if (useful == limit_ && pause != kFirstPause) {
      pause_.store(std::max(pause / 2, kFirstPause), std::memory_order_relaxed);
    }
    return;
  }
  if (useful == 1) return;
  until_.store(monotonic_now() + pause, std::memory_order_relaxed);
  pause_.store(std::min(pause * 2, kLongestPause), std::memory_order_relaxed);
  useful_.store(useful / 2, std::memory_order_release);
}

}  // namespace tendril::rt
