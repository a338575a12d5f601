#include "runtime/hub/seeded_schedule.hpp"

#include "runtime/hub/park.hpp"

namespace tendril::rt {

constinit SeededSchedule the_seeded_schedule;

void SeededSchedule::begin(uint64_t seed) noexcept {
  on_ = true;
  seed_ = seed;
  state_ = seed;
  // Some bugs want few switches and some want many: how often is part of the seed.
  gives_way_one_in_ = size_t{2} << (next() & 3);
}

// splitmix64 (Steele, Lea and Flood, 2014): neighbouring seeds give unrelated sequences.
uint64_t SeededSchedule::next() noexcept {
  uint64_t z = state_ += 0x9E3779B97F4A7C15U;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
  z = (z ^ z >> 27) * 0x94D049BB133111EBU;
  return z ^ z >> 31;
}

size_t SeededSchedule::choose(size_t count) noexcept {
  // The high half of a product: no division, and the low bits do not matter.
  return static_cast<size_t>(static_cast<unsigned __int128>(next()) * count >> 64);
}

void give_way_here() noexcept {
  if (seeded_schedule().gives_way()) yield();
}

}  // namespace tendril::rt
