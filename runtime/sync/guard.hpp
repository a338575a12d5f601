// The lock of the API's primitives: a few instructions for the OS thread that uses them alone.
//
// Nearly every primitive is used by the fibers of one OS thread, which cannot interrupt each other
// inside the library. So a BiasedLock favours the first thread that takes it: that one says "held"
// by a plain store and looks whether it is still favoured. Another thread that wants the lock
// withdraws the favour, once and for ever, makes every CPU see that (membarrier), and waits until
// the favoured thread is out; from then on it is an ordinary spin lock for all.
//
//   favoured:  held = true; [compiler barrier]; favoured == me ? in : (held = false; spin lock)
//   other:     spin lock; favoured = nobody; [membarrier]; wait until !held; in
//
// Of the two stores at least one is seen by the other side. No lock is held over a switch.
#pragma once

#include <atomic>

#include "runtime/hub/worker.hpp"
#include "tendril/detail/sync_state.hpp"

namespace tendril::detail {

class Guard {
 public:
  Guard(BiasedLock& lock, rt::Worker* me) noexcept : lock_(lock) { acquire(me); }
  ~Guard() {
    if (holds_) release();
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  void release() noexcept {
    holds_ = false;
    if (favoured_) {
      lock_.held_by_favoured.store(false, std::memory_order_release);
    } else {
      lock_.locked.store(false, std::memory_order_release);
    }
  }

  void acquire(rt::Worker* me) noexcept {
    holds_ = true;
    if (__builtin_expect(lock_.favoured.load(std::memory_order_relaxed) == me, true)) {
      lock_.held_by_favoured.store(true, std::memory_order_relaxed);
      std::atomic_signal_fence(std::memory_order_seq_cst);
      if (__builtin_expect(lock_.favoured.load(std::memory_order_relaxed) == me, true)) {
        favoured_ = true;
        return;
      }
      lock_.held_by_favoured.store(false, std::memory_order_release);
    }
    acquire_slowly(me);
  }

 private:
  void acquire_slowly(rt::Worker* me) noexcept;

  BiasedLock& lock_;
  bool favoured_ = false;
  bool holds_ = false;
};

}  // namespace tendril::detail
