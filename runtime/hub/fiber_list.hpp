// The live fibers of a worker alone, or those of the groups, for whoever wants to see them.
#pragma once

#include <atomic>
#include <cstddef>

#include "runtime/fiber/fiber.hpp"
#include "runtime/fiber/intrusive_list.hpp"
#include "runtime/hub/biased_lock.hpp"

namespace tendril::rt {

// Written and walked under its owner's lock.
class FiberList {
 public:
  void add(Fiber* fiber) noexcept {
    live_.store(live() + 1, std::memory_order_relaxed);
    fibers_.push_back(fiber);
  }
  void remove(Fiber* fiber) noexcept {
    live_.store(live() - 1, std::memory_order_relaxed);
    IntrusiveList<Fiber>::remove(fiber);
  }
  template <typename Visit>
  void for_each(Visit&& visit) {
    for (Fiber* f = fibers_.front(); f != nullptr; f = fibers_.after(f)) visit(f);
  }
  void reset() noexcept {
    fibers_.reset();
    live_.store(0, std::memory_order_relaxed);
  }

  size_t live() const noexcept { return live_.load(std::memory_order_relaxed); }  // any thread

 private:
  IntrusiveList<Fiber> fibers_;
  std::atomic<size_t> live_{0};
};

// Part of a worker: its fibers while it is alone. `me`: that worker, in runtime mode.
//
// Fibers of create_fiber that have ended on a stack of the usual size stay in the list, unseen, and
// are started again: a spawn takes no lock and makes no context.
struct FibersAlone {
  static constexpr uint32_t kMostSpares = 1024;

  // Own thread only. `fiber` is kSpare, or about to be.
  void keep_spare(Fiber* fiber) noexcept {
    fiber->next_ready = spares;
    spares = fiber;
    count_spares(1);
  }
  Fiber* take_spare() noexcept {
    Fiber* fiber = spares;
    if (fiber == nullptr) return nullptr;
    spares = fiber->next_ready;
    count_spares(-1);
    return fiber;
  }
  bool wants_spares() const noexcept {
    return spare_count.load(std::memory_order_relaxed) < kMostSpares;
  }

  // Under the lock. Of a fiber that is just started or ends, some fields may be old.
  template <typename Visit>
  void for_each(Visit&& visit) {
    list.for_each([&visit](Fiber* fiber) {
      if (fiber->state.load(std::memory_order_acquire) != FiberState::kSpare) visit(fiber);
    });
  }
  // Any thread, to which the two counts are of different moments.
  size_t live() const noexcept {
    const size_t spare = spare_count.load(std::memory_order_acquire);
    const size_t all = list.live();
    return all > spare ? all - spare : 0;
  }
  // In the child of fork: all but the spares.
  void forget_after_fork() noexcept {
    list.reset();
    for (Fiber* fiber = spares; fiber != nullptr; fiber = fiber->next_ready) list.add(fiber);
  }

  void add(Fiber* fiber, const Worker* me) noexcept {
    const bool as_favoured = acquire_biased(lock, me);
    list.add(fiber);
    release_biased(lock, as_favoured);
  }
  void remove(Fiber* fiber, const Worker* me) noexcept {
    const bool as_favoured = acquire_biased(lock, me);
    list.remove(fiber);
    release_biased(lock, as_favoured);
  }

  BiasedLock lock;  // favours the worker's own thread
  FiberList list;
  Fiber* spares = nullptr;               // linked by next_ready; own thread only
  std::atomic<uint32_t> spare_count{0};  // written by the own thread
  FibersAlone* older = nullptr;          // of the worker that was made before; written once

 private:
  void count_spares(int change) noexcept {
    spare_count.store(spare_count.load(std::memory_order_relaxed) + static_cast<uint32_t>(change),
                      std::memory_order_release);
  }
};

}  // namespace tendril::rt
