// Timers that are not due soon, by the time when they will be: a hierarchical timing wheel
// (Varghese and Lauck, 1987) of two levels, in ticks of 4.2 ms up to a second ahead and of 1.07 s
// up to four and a half minutes. To add one and to take one out touches its bucket alone, however
// many there are.
//
// A wheel fires nothing: it hands over what is due within the present tick, in any order.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "runtime/fiber/timer_slot.hpp"
#include "runtime/platform/clock.hpp"

namespace tendril::rt {

// Guarded by the lock of its queue. `slots` is the queue's table.
class TimerWheel {
 public:
  static constexpr uint32_t kInWheel = uint32_t{1} << 31;
  static constexpr int kTickShift = 22;

  explicit TimerWheel(Deadline now) noexcept {
    for (uint32_t number = 0; number < kLevels; ++number) {
      levels_[number].tick = now >> shift_of(number);
      levels_[number].first.fill(TimerSlot::kNone);
    }
  }

  // False if it is due in this tick or beyond the last bucket: it is not the wheel's then.
  bool add(TimerSlot* slots, uint32_t slot) noexcept {
    const Deadline when = slots[slot].when;
    for (uint32_t number = 0; number < kLevels; ++number) {
      const int64_t tick = when >> shift_of(number);
      const int64_t ahead = tick - levels_[number].tick;
      if (ahead <= 0) return false;
      if (ahead >= kBuckets) continue;
      link(slots, slot, number, static_cast<uint32_t>(tick) % kBuckets);
      nearest_ = std::min(nearest_, when);
      return true;
    }
    return false;
  }

  // Precondition: it is in the wheel.
  void remove(TimerSlot* slots, uint32_t slot) noexcept {
    const TimerSlot& removed = slots[slot];
    const uint32_t bucket = removed.place & ~kInWheel;
    Level& level = levels_[bucket / kBuckets];
    if (removed.next != TimerSlot::kNone) slots[removed.next].previous = removed.previous;
    if (removed.previous != TimerSlot::kNone) {
      slots[removed.previous].next = removed.next;
    } else {
      level.first[bucket % kBuckets] = removed.next;
      if (removed.next == TimerSlot::kNone) level.forget(bucket % kBuckets);
    }
    if (removed.when <= nearest_) find_nearest();
  }

  // Makes it `now`. Calls `due(slot)` for each timer that leaves the wheel.
  template <typename Due>
  void turn_to(Deadline now, TimerSlot* slots, Due&& due) noexcept {
    std::array<int64_t, kLevels> before;
    for (uint32_t number = 0; number < kLevels; ++number) {
      before[number] = levels_[number].tick;
      levels_[number].tick = std::max(before[number], now >> shift_of(number));
    }
    // The coarse ones first: some of theirs go to the fine ones.
    for (uint32_t number = kLevels; number-- > 0;) {
      const int64_t passed = levels_[number].tick - before[number];
      for (int64_t i = 1; i <= std::min<int64_t>(passed, kBuckets); ++i) {
        const auto bucket = static_cast<uint32_t>((before[number] + i) % kBuckets);
        uint32_t slot = levels_[number].first[bucket];
        if (slot == TimerSlot::kNone) continue;
        levels_[number].first[bucket] = TimerSlot::kNone;
        levels_[number].forget(bucket);
        while (slot != TimerSlot::kNone) {
          const uint32_t next = slots[slot].next;
          if (!add(slots, slot)) due(slot);
          slot = next;
        }
      }
    }
    find_nearest();
  }

  // No timer in it is due before; kForever if there is none.
  Deadline nearest() const noexcept { return nearest_; }

 private:
  static constexpr uint32_t kLevels = 2;
  static constexpr uint32_t kBuckets = 256;
  static constexpr int kBucketBits = 8;

  struct Level {
    int64_t tick = 0;                            // the present one: nothing is in its bucket
    std::array<uint64_t, kBuckets / 64> used{};  // a bit for each bucket that is not empty
    std::array<uint32_t, kBuckets> first{};
    std::array<Deadline, kBuckets> earliest{};  // of all that have been in it since it was empty

    void forget(uint32_t bucket) noexcept { used[bucket / 64] &= ~(uint64_t{1} << bucket % 64); }

    // Of the first bucket after the present tick that is not empty.
    Deadline nearest() const noexcept {
      const auto start = static_cast<uint32_t>(tick + 1) % kBuckets;
      for (uint32_t word = 0; word <= used.size(); ++word) {
        const uint32_t index = (start / 64 + word) % used.size();
        uint64_t bits = used[index];
        if (word == 0) bits &= ~uint64_t{0} << start % 64;
        if (bits != 0) return earliest[index * 64 + static_cast<uint32_t>(std::countr_zero(bits))];
      }
      return kForever;
    }
  };

  static constexpr int shift_of(uint32_t level) noexcept {
    return kTickShift + static_cast<int>(level) * kBucketBits;
  }

  void link(TimerSlot* slots, uint32_t slot, uint32_t number, uint32_t bucket) noexcept {
    Level& level = levels_[number];
    const uint32_t first = level.first[bucket];
    const Deadline when = slots[slot].when;
    level.earliest[bucket] =
        first == TimerSlot::kNone ? when : std::min(level.earliest[bucket], when);
    level.used[bucket / 64] |= uint64_t{1} << bucket % 64;
    slots[slot].place = kInWheel | (number * kBuckets + bucket);
    slots[slot].next = first;
    slots[slot].previous = TimerSlot::kNone;
    if (first != TimerSlot::kNone) slots[first].previous = slot;
    level.first[bucket] = slot;
  }

  void find_nearest() noexcept {
    nearest_ = kForever;
    for (const Level& level : levels_) nearest_ = std::min(nearest_, level.nearest());
  }

  std::array<Level, kLevels> levels_;
  Deadline nearest_ = kForever;
};

}  // namespace tendril::rt
