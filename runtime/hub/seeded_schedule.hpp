// A schedule that can be repeated: which ready fiber runs next, and where the running one gives the
// processor up, are pseudo-random choices that follow from one number, the seed.
//
// For tests, with one worker. Choices are made at switch points, places that the program reaches in
// the same order every time; nothing else may make a choice, or a run would not be repeatable.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tendril::rt {

class SeededSchedule {
 public:
  // Precondition: one worker. Begins the schedule of that seed; again after fork.
  void begin(uint64_t seed) noexcept;

  bool is_on() const noexcept { return on_; }
  uint64_t seed() const noexcept { return seed_; }

  // One of `count` things. Precondition: on, count > 0.
  size_t choose(size_t count) noexcept;

  // Whether the running fiber gives way at this switch point. Precondition: on.
  bool gives_way() noexcept { return choose(gives_way_one_in_) == 0; }

 private:
  uint64_t next() noexcept;

  bool on_ = false;
  uint64_t seed_ = 0;
  uint64_t state_ = 0;
  size_t gives_way_one_in_ = 2;
};

extern SeededSchedule the_seeded_schedule;
inline SeededSchedule& seeded_schedule() noexcept { return the_seeded_schedule; }

// A place where the running fiber may give way. Nothing happens without a seed. Precondition: on a
// fiber of a worker, in runtime mode.
void give_way_here() noexcept;
inline void switch_point() noexcept {
  if (seeded_schedule().is_on()) [[unlikely]]
    give_way_here();
}

}  // namespace tendril::rt
