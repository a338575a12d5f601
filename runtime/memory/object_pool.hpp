// A type-stable pool: memory of a T is only ever reused for another T and never unmapped, so a
// stale pointer may still be read. Wake-ups rely on it: a late waker looks at a fiber that may be
// gone and finds by its epoch that it lost (see runtime/fiber/wait.hpp).
#pragma once

#include <concepts>
#include <cstddef>
#include <new>
#include <type_traits>

#include "runtime/memory/advice.hpp"
#include "runtime/memory/pages.hpp"
#include "runtime/platform/spin_lock.hpp"

namespace tendril::rt {

// What has a field to spare while it is in a pool: pool_link() is that field.
template <typename T>
concept LinksItself = requires(T& object) {
  { object.pool_link() } -> std::same_as<T*&>;
};

// Objects are constructed once, when their slab is made, and keep their state between uses; take()
// hands one out as the last user left it. Thread-safe.
template <typename T>
class ObjectPool {
 public:
  // Null when out of memory.
  T* take() noexcept {
    SpinGuard guard(lock_);
    if (free_ == nullptr && !grow()) return nullptr;
    T* object = free_;
    free_ = link_of(object);
    return object;
  }

  void give_back(T* object) noexcept {
    SpinGuard guard(lock_);
    link_of(object) = free_;
    free_ = object;
  }

  SpinLock& lock() noexcept { return lock_; }
  void reset_after_fork() noexcept { lock_.reset_after_fork(); }

 private:
  struct Linked {
    T object;
    T* next = nullptr;
  };
  using Slot = std::conditional_t<LinksItself<T>, T, Linked>;

  static T*& link_of(T* object) noexcept {
    if constexpr (LinksItself<T>) {
      return object->pool_link();
    } else {
      return reinterpret_cast<Linked*>(object)->next;
    }
  }

  static constexpr size_t kSlabBytes =
      round_up_to_page(sizeof(Slot) * 64 < 65536 ? 65536 : sizeof(Slot) * 64);

  bool grow() noexcept {
    void* pages = map_pages(kSlabBytes);
    if (pages == nullptr) return false;
    fill_pages(pages, kSlabBytes);
    auto* slots = static_cast<Slot*>(pages);
    for (size_t i = kSlabBytes / sizeof(Slot); i-- > 0;) {
      auto* object = reinterpret_cast<T*>(new (&slots[i]) Slot);
      link_of(object) = free_;
      free_ = object;
    }
    return true;
  }

  SpinLock lock_;
  T* free_ = nullptr;  // guarded by lock_
};

}  // namespace tendril::rt
