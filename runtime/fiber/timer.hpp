// Timers: a 4-ary heap by deadline, one per worker. Any thread may arm and cancel.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/platform/clock.hpp"
#include "runtime/platform/spin_lock.hpp"

namespace tendril::rt {

class TimerHeap;

// Embedded in what it wakes. `fire` is called on the hub of the heap's worker, with no lock held
// and with the cookie of the arming that expired: the owner may have gone on meanwhile and must
// recognise by it that it is not meant any more.
struct Timer {
  static constexpr uint32_t kNotArmed = UINT32_MAX;
  void (*fire)(Timer* timer, uint64_t cookie) = nullptr;
  uint64_t cookie = 0;        // guarded by the heap's lock while armed
  TimerHeap* heap = nullptr;  // the heap it was last armed on; written by the owner
  uint32_t slot = kNotArmed;  // its number in the heap; guarded by the heap's lock
};

class TimerHeap {
 public:
  TimerHeap() = default;
  TimerHeap(const TimerHeap&) = delete;
  TimerHeap& operator=(const TimerHeap&) = delete;

  // False when out of memory. Precondition: not armed.
  bool arm(Timer* timer, Deadline when, uint64_t cookie) noexcept;

  // True if it was still armed: then it will not fire. If false it has fired or is about to.
  bool cancel(Timer* timer) noexcept;

  // Fires what is due. Returns how many.
  size_t fire_due(Deadline now) noexcept;

  // kForever when empty. May be read by any thread.
  Deadline nearest() const noexcept { return nearest_.load(std::memory_order_relaxed); }
  size_t size() const noexcept { return size_; }

  void clear_after_fork() noexcept;

 private:
  // Whoever moves in the heap is written to at each step. A timer lies in its fiber, so among
  // thousands of them that would be a cache miss: its place is kept in an array, by its slot.
  struct Entry {
    Deadline when;
    uint32_t slot;
  };
  struct Slot {
    Timer* timer;
    uint32_t index;  // place in the heap; of a free slot, the next free one
  };
  static constexpr size_t kArity = 4;
  static constexpr uint32_t kNoSlot = UINT32_MAX;

  bool reserve_one() noexcept;
  uint32_t take_slot() noexcept;
  void place(size_t index, Entry entry) noexcept;
  void sift_up(size_t index, Entry entry) noexcept;
  void sift_down(size_t index, Entry entry) noexcept;
  void remove_at(size_t index) noexcept;

  SpinLock lock_;
  Entry* entries_ = nullptr;  // all guarded by lock_
  Slot* slots_ = nullptr;     // as many as entries_ has room for
  uint32_t free_slot_ = kNoSlot;
  uint32_t used_slots_ = 0;  // those from here on have not been used yet
  size_t size_ = 0;
  size_t capacity_ = 0;
  std::atomic<Deadline> nearest_{kForever};
};

}  // namespace tendril::rt
