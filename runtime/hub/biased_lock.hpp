// A lock for a few instructions of runtime code that costs the worker which uses it alone no atomic
// read-modify-write.
//
// Nearly everything that explicit fibers share is used by the fibers of one OS thread, which cannot
// interrupt each other inside the library. So a BiasedLock favours the first worker that takes it:
// that one says "held" by a plain store and looks whether it is still favoured. Another thread that
// wants the lock withdraws the favour, once and for ever, makes every CPU see that (membarrier),
// and waits until the favoured worker is out; from then on it is an ordinary spin lock for all.
//
//   favoured:  held = true; [compiler barrier]; favoured == me ? in : (held = false; spin lock)
//   other:     spin lock; favoured = nobody; [membarrier]; wait until !held; in
//
// Of the two stores at least one is seen by the other side. It is held in runtime mode, so that a
// green thread is not preempted and moved with it, and not over a switch.
#pragma once

#include <atomic>

#include "runtime/platform/runtime_mode.hpp"
#include "tendril/detail/sync_state.hpp"

namespace tendril::rt {

using tendril::detail::BiasedLock;

// The ways of who is not favoured, or not yet. True if `me` is favoured now, and still has to say
// that it holds the lock; false when it holds it as everybody else. `me`: the caller's worker, or
// null on a thread that has none.
bool settle_biased_lock(BiasedLock& lock, const Worker* me) noexcept;

// True if it is held as the favoured, which the release is to be told.
inline bool acquire_biased(BiasedLock& lock, const Worker* me) noexcept {
  do {
    if (__builtin_expect(me != nullptr && lock.favoured.load(std::memory_order_relaxed) == me,
                         true)) {
      lock.held_by_favoured.store(true, std::memory_order_relaxed);
      std::atomic_signal_fence(std::memory_order_seq_cst);
      if (__builtin_expect(lock.favoured.load(std::memory_order_relaxed) == me, true)) return true;
      lock.held_by_favoured.store(false, std::memory_order_release);
    }
  } while (settle_biased_lock(lock, me));
  return false;
}

inline void release_biased(BiasedLock& lock, bool as_favoured) noexcept {
  (as_favoured ? lock.held_by_favoured : lock.locked).store(false, std::memory_order_release);
}

// Of an object that nobody else has seen yet.
inline void favour(BiasedLock& lock, const Worker* me) noexcept {
  lock.favoured.store(me, std::memory_order_relaxed);
}

// In the child of fork: whoever held it does not exist here.
void reset_biased_lock_after_fork(BiasedLock& lock) noexcept;

class BiasedGuard {
 public:
  explicit BiasedGuard(BiasedLock& lock) noexcept
      : lock_(lock),
        was_program_(enter_runtime_mode()),
        as_favoured_(acquire_biased(lock, current_worker())) {}
  ~BiasedGuard() {
    release_biased(lock_, as_favoured_);
    leave_runtime_mode(was_program_);
  }
  BiasedGuard(const BiasedGuard&) = delete;
  BiasedGuard& operator=(const BiasedGuard&) = delete;

 private:
  BiasedLock& lock_;
  const bool was_program_;
  const bool as_favoured_;
};

}  // namespace tendril::rt
