// The generator that everything about a seed follows from: splitmix64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace differential {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // 0 … limit - 1
  unsigned below(unsigned limit) { return static_cast<unsigned>((next() >> 32) % limit); }
  // True `percent` times in a hundred.
  bool chance(unsigned percent) { return below(100) < percent; }
  template <typename T>
  const T& one_of(const std::vector<T>& values) {
    return values[below(static_cast<unsigned>(values.size()))];
  }

 private:
  uint64_t state_;
};

}  // namespace differential
