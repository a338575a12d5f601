// What a program has done, as text, in memory shared with the process that started it: it outlives
// a crash. May be added to from signal handlers and several threads.
#pragma once

#include <atomic>
#include <cstddef>

namespace differential {

class Transcript {
 public:
  static constexpr size_t kSize = size_t{256} << 10;
  void add(const char* format, ...) __attribute__((format(printf, 2, 3)));
  void clear() { used_.store(0); }
  const char* text() const { return text_; }
  size_t size() const { return used_.load() < kSize ? used_.load() : kSize; }

 private:
  std::atomic<size_t> used_;
  char text_[kSize];
};

}  // namespace differential
