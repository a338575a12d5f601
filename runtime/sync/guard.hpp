// The lock of the API's primitives: a BiasedLock, held in runtime mode.
#pragma once

#include <atomic>
#include <utility>

#include "runtime/hub/biased_lock.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/platform/runtime_mode.hpp"
#include "runtime/sync/dead_end.hpp"
#include "runtime/sync/thread.hpp"

namespace tendril::detail {

class Guard {
 public:
  // Makes the calling OS thread a worker if it is none: then it may throw.
  explicit Guard(BiasedLock& lock) : lock_(lock) {
    if (__builtin_expect(!rt::on_worker, false)) become_worker();
    acquire();
  }
  ~Guard() {
    if (holds_) release();
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  void release() noexcept {
    unlock();
    rt::leave_runtime_mode(was_program_);
  }

  void acquire() noexcept {
    // In runtime mode nobody preempts us: only from here on is the worker sure to stay ours.
    was_program_ = rt::enter_runtime_mode_on_worker();
    holds_ = true;
    // The first use of a primitive: its user may be a thread that the API does not know otherwise.
    if (__builtin_expect(lock_.favoured.load(std::memory_order_relaxed) == nullptr, false)) {
      watch_for_dead_ends();
    }
    favoured_ = rt::acquire_biased(lock_, rt::current_worker_unchecked());
  }

  // While it is held:
  rt::Fiber* fiber() const noexcept { return rt::current_worker_unchecked()->current; }

 private:
  void unlock() noexcept {
    holds_ = false;
    rt::release_biased(lock_, favoured_);
  }

  friend class SectionOf;
  BiasedLock& lock_;
  bool favoured_ = false;
  bool holds_ = false;
  bool was_program_ = false;
};

// The favoured thread's way through the lock with everything in registers: calls action(worker)
// under it. False if the lock does not favour the caller or the action gave up, having changed
// nothing.
template <typename Action>
inline bool quickly(BiasedLock& lock, Action&& action) noexcept {
  if (__builtin_expect(!rt::on_worker, false)) return false;
  const bool was_program = rt::enter_runtime_mode_on_worker();
  rt::Worker* me = rt::current_worker_unchecked();
  bool done = false;
  if (__builtin_expect(lock.favoured.load(std::memory_order_relaxed) == me, true)) {
    lock.held_by_favoured.store(true, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (__builtin_expect(lock.favoured.load(std::memory_order_relaxed) == me, true)) {
      done = action(me);
    }
    lock.held_by_favoured.store(false, std::memory_order_release);
  }
  rt::leave_runtime_mode(was_program);
  return done;
}

// Keeps the runtime mode of a guard that is held beyond its release, to the end of the section.
class SectionOf {
 public:
  explicit SectionOf(Guard& guard) noexcept
      : was_program_(std::exchange(guard.was_program_, false)) {}
  ~SectionOf() { end(); }
  SectionOf(const SectionOf&) = delete;
  SectionOf& operator=(const SectionOf&) = delete;
  void end() noexcept { rt::leave_runtime_mode(std::exchange(was_program_, false)); }

 private:
  bool was_program_;
};

}  // namespace tendril::detail
