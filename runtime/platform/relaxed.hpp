// A value that one thread writes and others may look at, for inspection: reads and writes are
// whole, and order nothing.
#pragma once

#include <atomic>

namespace tendril::rt {

template <typename T>
class Relaxed {
 public:
  constexpr Relaxed(T value) noexcept : value_(value) {}  // NOLINT(google-explicit-constructor)
  Relaxed& operator=(T value) noexcept {
    value_.store(value, std::memory_order_relaxed);
    return *this;
  }
  operator T() const noexcept {  // NOLINT(google-explicit-constructor)
    return value_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<T> value_;
};

}  // namespace tendril::rt
