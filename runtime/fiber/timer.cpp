#include "runtime/fiber/timer.hpp"

#include <algorithm>

#include "runtime/memory/allocator.hpp"

namespace tendril::rt {

bool TimerQueue::reserve_one() noexcept {
  if (size_ < capacity_) return true;
  const size_t capacity = capacity_ == 0 ? 64 : capacity_ * 2;
  auto* heap = static_cast<Entry*>(runtime_reallocate(heap_, capacity * sizeof(Entry)));
  if (heap == nullptr) return false;
  heap_ = heap;
  auto* slots = static_cast<TimerSlot*>(runtime_reallocate(slots_, capacity * sizeof(TimerSlot)));
  if (slots == nullptr) return false;
  slots_ = slots;
  capacity_ = capacity;
  if (wheel_ == nullptr) wheel_ = runtime_new<TimerWheel>(tick_ << TimerWheel::kTickShift);
  return true;
}

uint32_t TimerQueue::take_slot(Timer* timer) noexcept {
  const uint32_t slot = free_slot_ != kNoSlot ? free_slot_ : used_slots_++;
  if (slot == free_slot_) free_slot_ = slots_[slot].next;
  slots_[slot].timer = timer;
  timer->slot = slot;
  return slot;
}

void TimerQueue::free_slot(uint32_t slot) noexcept {
  slots_[slot].timer->slot = Timer::kNotArmed;
  slots_[slot].timer = nullptr;
  slots_[slot].next = free_slot_;
  free_slot_ = slot;
  --size_;
}

void TimerQueue::note_nearest() noexcept {
  Deadline nearest = heap_size_ > 0 ? heap_[0].when : kForever;
  if (wheel_ != nullptr) nearest = std::min(nearest, wheel_->nearest());
  nearest_.store(nearest, std::memory_order_relaxed);
}

void TimerQueue::place(size_t index, Entry entry) noexcept {
  heap_[index] = entry;
  slots_[entry.slot].place = static_cast<uint32_t>(index);
}

void TimerQueue::sift_up(size_t index, Entry entry) noexcept {
  while (index > 0) {
    const size_t parent = (index - 1) / kArity;
    if (heap_[parent].when <= entry.when) break;
    place(index, heap_[parent]);
    index = parent;
  }
  place(index, entry);
}

void TimerQueue::sift_down(size_t index, Entry entry) noexcept {
  for (;;) {
    const size_t first = index * kArity + 1;
    if (first >= heap_size_) break;
    const size_t end = std::min(first + kArity, heap_size_);
    size_t least = first;
    for (size_t child = first + 1; child < end; ++child) {
      if (heap_[child].when < heap_[least].when) least = child;
    }
    if (heap_[least].when >= entry.when) break;
    place(index, heap_[least]);
    index = least;
  }
  place(index, entry);
}

void TimerQueue::add_to_heap(uint32_t slot) noexcept {
  sift_up(heap_size_++, Entry{slots_[slot].when, slot});
}

void TimerQueue::remove_from_heap(size_t index) noexcept {
  const Entry last = heap_[--heap_size_];
  if (index == heap_size_) return;
  if (index > 0 && heap_[(index - 1) / kArity].when > last.when) {
    sift_up(index, last);
  } else {
    sift_down(index, last);
  }
}

bool TimerQueue::arm(Timer* timer, Deadline when, uint64_t cookie) noexcept {
  SpinGuard guard(lock_);
  if (!reserve_one()) return false;
  timer->queue = this;
  timer->cookie = cookie;
  const uint32_t slot = take_slot(timer);
  ++size_;
  slots_[slot].when = when;
  slots_[slot].long_wait = (when >> TimerWheel::kTickShift) - tick_ > 1;
  if (wheel_ == nullptr || !wheel_->add(slots_, slot)) add_to_heap(slot);
  note_nearest();
  return true;
}

bool TimerQueue::cancel(Timer* timer) noexcept {
  SpinGuard guard(lock_);
  const uint32_t slot = timer->slot;
  if (slot == Timer::kNotArmed) return false;
  if ((slots_[slot].place & TimerWheel::kInWheel) != 0) {
    wheel_->remove(slots_, slot);
  } else {
    remove_from_heap(slots_[slot].place);
  }
  free_slot(slot);
  note_nearest();
  return true;
}

// What is due within this tick goes to the heap, what is due later comes closer.
void TimerQueue::turn_wheel(Deadline now) noexcept {
  SpinGuard guard(lock_);
  const int64_t tick = now >> TimerWheel::kTickShift;
  if (tick <= tick_) return;
  tick_.store(tick, std::memory_order_relaxed);
  if (wheel_ == nullptr) return;
  wheel_->turn_to(now, slots_, [this](uint32_t slot) { add_to_heap(slot); });
  note_nearest();
}

TimerQueue::Fired TimerQueue::fire_due(Deadline now) noexcept {
  if (now >> TimerWheel::kTickShift > tick_.load(std::memory_order_relaxed)) turn_wheel(now);
  Fired fired;
  while (nearest() <= now) {
    Timer* timer;
    uint64_t cookie;
    {
      SpinGuard guard(lock_);
      if (heap_size_ == 0 || heap_[0].when > now) break;
      const TimerSlot& first = slots_[heap_[0].slot];
      timer = first.timer;
      cookie = timer->cookie;
      ++fired.timers;
      if (!first.long_wait) ++fired.short_waits;
      free_slot(heap_[0].slot);
      remove_from_heap(0);
      note_nearest();
      // The next one is among these. It lies in a fiber that nobody has looked at for long.
      for (size_t i = 0; i < std::min(heap_size_, kArity + 1); ++i) {
        if (heap_[i].when <= now) __builtin_prefetch(slots_[heap_[i].slot].timer);
      }
    }
    timer->fire(timer, cookie);
  }
  return fired;
}

void TimerQueue::clear_after_fork() noexcept {
  lock_.reset_after_fork();
  for (uint32_t slot = 0; slot < used_slots_; ++slot) {
    if (slots_[slot].timer != nullptr) slots_[slot].timer->slot = Timer::kNotArmed;
  }
  if (wheel_ != nullptr) *wheel_ = TimerWheel(tick_ << TimerWheel::kTickShift);
  free_slot_ = kNoSlot;
  used_slots_ = 0;
  size_ = heap_size_ = 0;
  nearest_ = kForever;
}

}  // namespace tendril::rt
