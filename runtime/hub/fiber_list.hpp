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
struct FibersAlone {
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
  FibersAlone* older = nullptr;  // of the worker that was made before; written once
};

}  // namespace tendril::rt
