// Work that a compiler cannot shorten and that touches no memory: each step needs the one before.
#pragma once

#include <stdint.h>

static inline uint64_t compute(uint64_t rounds, uint64_t seed) {
  uint64_t x = seed | 1;
  for (uint64_t i = 0; i < rounds; ++i) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
  }
  return x;
}
