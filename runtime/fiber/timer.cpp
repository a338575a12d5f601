#include "runtime/fiber/timer.hpp"

#include "runtime/memory/allocator.hpp"

namespace tendril::rt {

bool TimerHeap::reserve_one() noexcept {
  if (size_ < capacity_) return true;
  const size_t capacity = capacity_ == 0 ? 64 : capacity_ * 2;
  auto* entries = static_cast<Entry*>(runtime_reallocate(entries_, capacity * sizeof(Entry)));
  if (entries == nullptr) return false;
  entries_ = entries;
  auto* slots = static_cast<Slot*>(runtime_reallocate(slots_, capacity * sizeof(Slot)));
  if (slots == nullptr) return false;
  slots_ = slots;
  capacity_ = capacity;
  return true;
}

uint32_t TimerHeap::take_slot() noexcept {
  if (free_slot_ == kNoSlot) return used_slots_++;
  const uint32_t slot = free_slot_;
  free_slot_ = slots_[slot].index;
  return slot;
}

void TimerHeap::place(size_t index, Entry entry) noexcept {
  entries_[index] = entry;
  slots_[entry.slot].index = static_cast<uint32_t>(index);
}

void TimerHeap::sift_up(size_t index, Entry entry) noexcept {
  while (index > 0) {
    const size_t parent = (index - 1) / kArity;
    if (entries_[parent].when <= entry.when) break;
    place(index, entries_[parent]);
    index = parent;
  }
  place(index, entry);
}

void TimerHeap::sift_down(size_t index, Entry entry) noexcept {
  for (;;) {
    const size_t first = index * kArity + 1;
    if (first >= size_) break;
    const size_t end = first + kArity < size_ ? first + kArity : size_;
    size_t least = first;
    for (size_t child = first + 1; child < end; ++child) {
      if (entries_[child].when < entries_[least].when) least = child;
    }
    if (entries_[least].when >= entry.when) break;
    place(index, entries_[least]);
    index = least;
  }
  place(index, entry);
}

void TimerHeap::remove_at(size_t index) noexcept {
  const uint32_t slot = entries_[index].slot;
  slots_[slot].timer->slot = Timer::kNotArmed;
  slots_[slot].index = free_slot_;
  free_slot_ = slot;
  const Entry last = entries_[--size_];
  if (index < size_) {
    if (index > 0 && entries_[(index - 1) / kArity].when > last.when) {
      sift_up(index, last);
    } else {
      sift_down(index, last);
    }
  }
  nearest_.store(size_ > 0 ? entries_[0].when : kForever, std::memory_order_relaxed);
}

bool TimerHeap::arm(Timer* timer, Deadline when, uint64_t cookie) noexcept {
  SpinGuard guard(lock_);
  if (!reserve_one()) return false;
  timer->heap = this;
  timer->cookie = cookie;
  const uint32_t slot = take_slot();
  timer->slot = slot;
  slots_[slot].timer = timer;
  sift_up(size_++, Entry{when, slot});
  nearest_.store(entries_[0].when, std::memory_order_relaxed);
  return true;
}

bool TimerHeap::cancel(Timer* timer) noexcept {
  SpinGuard guard(lock_);
  if (timer->slot == Timer::kNotArmed) return false;
  remove_at(slots_[timer->slot].index);
  return true;
}

size_t TimerHeap::fire_due(Deadline now) noexcept {
  size_t fired = 0;
  while (nearest() <= now) {
    Timer* timer;
    uint64_t cookie;
    {
      SpinGuard guard(lock_);
      if (size_ == 0 || entries_[0].when > now) break;
      timer = slots_[entries_[0].slot].timer;
      cookie = timer->cookie;
      remove_at(0);
    }
    timer->fire(timer, cookie);
    ++fired;
  }
  return fired;
}

void TimerHeap::clear_after_fork() noexcept {
  lock_.reset_after_fork();
  while (size_ > 0) remove_at(size_ - 1);
}

}  // namespace tendril::rt
