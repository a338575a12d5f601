// A type-stable pool: memory of a T is only ever reused for another T and never unmapped, so a
// stale pointer may still be read. Wake-ups rely on it: a late waker looks at a fiber that may be
// gone and finds by its epoch that it lost (see runtime/fiber/wait.hpp).
#pragma once

#include <cstddef>
#include <new>

#include "runtime/memory/pages.hpp"
#include "runtime/platform/spin_lock.hpp"

namespace tendril::rt {

// Objects are constructed once, when their slab is made, and keep their state between uses; take()
// hands one out as the last user left it. Thread-safe.
template <typename T>
class ObjectPool {
 public:
  // Null when out of memory.
  T* take() noexcept {
    SpinGuard guard(lock_);
    if (free_ == nullptr && !grow()) return nullptr;
    Slot* slot = free_;
    free_ = slot->next_free;
    return &slot->object;
  }

  void give_back(T* object) noexcept {
    auto* slot = reinterpret_cast<Slot*>(object);
    SpinGuard guard(lock_);
    slot->next_free = free_;
    free_ = slot;
  }

  SpinLock& lock() noexcept { return lock_; }
  void reset_after_fork() noexcept { lock_.reset_after_fork(); }

 private:
  struct Slot {
    T object;
    Slot* next_free = nullptr;
  };
  static constexpr size_t kSlabBytes =
      round_up_to_page(sizeof(Slot) * 64 < 65536 ? 65536 : sizeof(Slot) * 64);

  bool grow() noexcept {
    void* pages = map_pages(kSlabBytes);
    if (pages == nullptr) return false;
    auto* slots = static_cast<Slot*>(pages);
    for (size_t i = kSlabBytes / sizeof(Slot); i-- > 0;) {
      Slot* slot = new (&slots[i]) Slot;
      slot->next_free = free_;
      free_ = slot;
    }
    return true;
  }

  SpinLock lock_;
  Slot* free_ = nullptr;  // guarded by lock_
};

}  // namespace tendril::rt
