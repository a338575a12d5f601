// How many workers a group has use for.
//
// Where one lock guards nearly everything (the global lock of an interpreter is the extreme), a
// second worker does harm: threads come back from a descriptor or a sleep on it only to find that
// the lock is held on the first one, and each pays two hand-overs between processors for that. The
// field calls it a lock convoy. Such runs are counted: short ones that began outside, or after
// another worker has taken the thread over, and end at a futex. If they are many, workers are held
// back for a while; then all try again, and are held back for longer if nothing has changed.
//
// A second worker does harm as well where one thread alone takes what comes from outside, a little
// at a time and at a high rate (a stream of small messages): what comes while one worker is on its
// way to sleep wakes another, and the thread moves to and fro. Then the others are held back as
// long as that goes on, and no longer than a moment after it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/platform/clock.hpp"

namespace tendril::rt {

// What a worker counts; its own thread only.
class StrangeRuns {
 public:
  static constexpr uint32_t kWindow = 32;

  // At this number of switches a run began. True when there are enough to be judged.
  bool begin(uint64_t switches) noexcept {
    began_ = cycle_count();
    began_at_ = switches;
    return ++count_ >= kWindow;
  }
  void meets_lock(uint64_t switches) noexcept {
    if (began_at_ == switches && cycle_count() - began_ < kShortCycles) ++futile_;
    began_at_ = kNever;
  }
  // Those that were taken from another worker begin one after the other. `at_lock`: how one ended.
  void steal() noexcept { stolen_began_ = cycle_count(); }
  bool end_stolen(bool at_lock) noexcept {
    const uint64_t now = cycle_count();
    if (at_lock && now - stolen_began_ < kShortCycles) ++futile_;
    stolen_began_ = now;
    return ++count_ >= kWindow;
  }
  // A quarter was futile; a new window begins.
  bool judge() noexcept {
    const bool many = futile_ * 4 >= count_;
    count_ = 0;
    futile_ = 0;
    return many;
  }

 private:
  static constexpr uint64_t kNever = UINT64_MAX;
  // Some 5 µs: less than it costs another processor to run it.
  static constexpr uint64_t kShortCycles = 15'000;

  uint64_t began_ = 0;
  uint64_t began_at_ = kNever;
  uint64_t stolen_began_ = 0;
  uint32_t count_ = 0;
  uint32_t futile_ = 0;
};

// The times from one sleep to the next; a worker's own thread only.
class LonePeriods {
 public:
  static constexpr uint32_t kWindow = 64;

  void begin() noexcept { began_ = cycle_count(); }
  // `alone`: at the end everybody else slept. True when there were enough of them that were short
  // and alone, one soon after the other: the others were of no use.
  bool end(bool alone) noexcept {
    const uint64_t now = cycle_count();
    if (alone && now - began_ < kShortCycles) ++lone_;
    if (++count_ < kWindow) return false;
    const bool all = lone_ >= kWindow - kWindow / 8 && now - window_began_ < kWindowCycles;
    count_ = 0;
    lone_ = 0;
    window_began_ = now;
    return all;
  }

 private:
  static constexpr uint64_t kShortCycles = 50'000;  // some 17 µs, with what interrupts it
  static constexpr uint64_t kWindowCycles = kWindow * 150'000;  // some 50 µs each

  uint64_t began_ = 0;
  uint64_t window_began_ = 0;
  uint32_t count_ = 0;
  uint32_t lone_ = 0;
};

class Convoy {
 public:
  void open(size_t limit) noexcept {
    limit_ = static_cast<uint32_t>(limit);
    useful_.store(limit_, std::memory_order_relaxed);
  }

  // So many workers may run.
  uint32_t useful() const noexcept { return useful_.load(std::memory_order_relaxed); }
  bool holds_anybody_back() const noexcept { return useful() != limit_; }
  Deadline held_back_until() const noexcept { return until_.load(std::memory_order_relaxed); }

  // What a worker's window says, of so many workers that there are. Any worker.
  void judged(bool futile, size_t workers) noexcept;

  // There were enough lone periods.
  void one_does(size_t workers) noexcept;

  // The pause is over: all may run again. Any worker, at its hub's turns.
  void look(Deadline now) noexcept {
    if (holds_anybody_back() && now >= held_back_until()) release();
  }

  // All may run again. True if some could not.
  bool release() noexcept { return useful_.exchange(limit_, std::memory_order_relaxed) != limit_; }

  void reset_after_fork() noexcept { release(); }

 private:
  static constexpr Nanoseconds kFirstPause = 20'000'000;
  static constexpr Nanoseconds kLongestPause = 640'000'000;
  static constexpr Nanoseconds kLonePause = 1'000'000;  // after the last who said so

  uint32_t limit_ = 1;
  std::atomic<uint32_t> useful_{1};
  std::atomic<Deadline> until_{0};
  std::atomic<Nanoseconds> pause_{kFirstPause};
};

}  // namespace tendril::rt
