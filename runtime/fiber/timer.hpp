// Timers, one queue per worker. Any thread may arm and cancel.
//
// Those that are due soon are in a 4-ary heap by their deadlines, the others in a wheel, until they
// are. So the heap stays small, whatever number of timeouts is armed; most of these are cancelled
// before.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/fiber/timer_slot.hpp"
#include "runtime/fiber/timer_wheel.hpp"
#include "runtime/platform/clock.hpp"
#include "runtime/platform/spin_lock.hpp"

namespace tendril::rt {

class TimerQueue;

// Embedded in what it wakes. `fire` is called on the hub of the queue's worker, with no lock held
// and with the cookie of the arming that expired: the owner may have gone on meanwhile and must
// recognise by it that it is not meant any more.
struct Timer {
  static constexpr uint32_t kNotArmed = UINT32_MAX;
  void (*fire)(Timer* timer, uint64_t cookie) = nullptr;
  uint64_t cookie = 0;          // guarded by the queue's lock while armed
  TimerQueue* queue = nullptr;  // the queue it was last armed on; written by the owner
  uint32_t slot = kNotArmed;    // its number in the queue; guarded by the queue's lock
};

class TimerQueue {
 public:
  struct Fired {
    size_t timers = 0;
    size_t short_waits = 0;  // those of them that were armed less than about 4 ms ahead
  };

  TimerQueue() = default;
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  // False when out of memory. Precondition: not armed.
  bool arm(Timer* timer, Deadline when, uint64_t cookie) noexcept;

  // True if it was still armed: then it will not fire. If false it has fired or is about to.
  bool cancel(Timer* timer) noexcept;

  // Fires what is due, in the order of the deadlines.
  Fired fire_due(Deadline now) noexcept;

  // Nothing is due before; kForever when empty. Later than the first deadline never, earlier only
  // until somebody fires what is due then. May be read by any thread.
  Deadline nearest() const noexcept { return nearest_.load(std::memory_order_relaxed); }
  size_t size() const noexcept { return size_; }

  void clear_after_fork() noexcept;

 private:
  struct Entry {
    Deadline when;
    uint32_t slot;
  };
  static constexpr size_t kArity = 4;
  static constexpr uint32_t kNoSlot = TimerSlot::kNone;

  bool reserve_one() noexcept;
  uint32_t take_slot(Timer* timer) noexcept;
  void free_slot(uint32_t slot) noexcept;
  void turn_wheel(Deadline now) noexcept;
  void note_nearest() noexcept;
  void place(size_t index, Entry entry) noexcept;
  void sift_up(size_t index, Entry entry) noexcept;
  void sift_down(size_t index, Entry entry) noexcept;
  void add_to_heap(uint32_t slot) noexcept;
  void remove_from_heap(size_t index) noexcept;

  SpinLock lock_;
  Entry* heap_ = nullptr;  // all guarded by lock_
  TimerSlot* slots_ = nullptr;
  TimerWheel* wheel_ = nullptr;  // none: all are in the heap
  uint32_t free_slot_ = kNoSlot;
  uint32_t used_slots_ = 0;  // those from here on have not been used yet
  size_t size_ = 0;
  size_t heap_size_ = 0;
  size_t capacity_ = 0;  // of the heap and of the slots
  std::atomic<Deadline> nearest_{kForever};
  std::atomic<int64_t> tick_{0};  // the wheel's
};

}  // namespace tendril::rt
