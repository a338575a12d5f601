#include "runtime/hub/convoy.hpp"

#include <algorithm>

namespace tendril::rt {

void Convoy::judged(bool futile, size_t workers) noexcept {
  const uint32_t useful = useful_.load(std::memory_order_relaxed);
  const Nanoseconds pause = pause_.load(std::memory_order_relaxed);
  if (!futile) {  // what the rest do while others are held back says nothing about all
    if (useful == limit_ && pause != kFirstPause) {
      pause_.store(std::max(pause / 2, kFirstPause), std::memory_order_relaxed);
    }
    return;
  }
  const uint32_t run = std::min(useful, static_cast<uint32_t>(workers));
  if (run < 2) return;
  until_.store(monotonic_now() + pause, std::memory_order_relaxed);
  pause_.store(std::min(pause * 2, kLongestPause), std::memory_order_relaxed);
  useful_.store(run / 2, std::memory_order_release);
}

void Convoy::one_does(size_t workers) noexcept {
  const uint32_t run =
      std::min(useful_.load(std::memory_order_relaxed), static_cast<uint32_t>(workers));
  const Deadline until = monotonic_now() + kLonePause;
  if (until > until_.load(std::memory_order_relaxed)) {
    until_.store(until, std::memory_order_relaxed);
  }
  if (run > 1) useful_.store(run / 2, std::memory_order_release);
}

}  // namespace tendril::rt
