// Green waiters on futex words, by address.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/fiber/intrusive_list.hpp"
#include "runtime/fiber/wait.hpp"
#include "runtime/platform/clock.hpp"
#include "runtime/platform/spin_lock.hpp"

namespace tendril::kernel {

struct FutexBucket;

// What waiters are found by: as in the Linux kernel, those who wait privately for a word are others
// than those who do not, and a wake of the one kind does not reach the other.
constexpr uintptr_t futex_key(uintptr_t address, bool is_private) noexcept {
  return is_private ? address : address | 1;
}
inline uintptr_t futex_key(const uint32_t* word, bool is_private) noexcept {
  return futex_key(reinterpret_cast<uintptr_t>(word), is_private);
}

struct FutexWaiter : rt::Waiter {
  uintptr_t key = 0;  // guarded by the bucket's lock, as is all below
  uint32_t bitset = 0;
  FutexBucket* bucket = nullptr;  // changes when the waiter is requeued
  uint32_t owner_tid = 0;         // PI: who waits
  bool woken = false;             // it was on this word that the wait ended
};

struct FutexAlternative {
  uint32_t* word;
  uint32_t expected;
  bool is_private;
};

struct FutexBucket {
  rt::SpinLock lock;
  rt::IntrusiveList<FutexWaiter> waiters;  // in the order of arrival
};

class FutexTable {
 public:
  FutexBucket& bucket_of(uintptr_t key) noexcept {
    return buckets_[(key >> 2) * 0x9E3779B97F4A7C15ULL >> 52];
  }

  // Queues the caller if *word still is `expected`, and parks. 0 when woken; -EAGAIN, -EFAULT,
  // -ETIMEDOUT, -EINTR (interrupted).
  long wait(uint32_t* word, bool is_private, uint32_t expected, uint32_t bitset,
            rt::Deadline deadline) noexcept;

  // Waits on all of the words: the index of the one that it was woken on, or as wait. `places` are
  // as many.
  long wait_any(const FutexAlternative* words, size_t count, FutexWaiter* places,
                rt::Deadline deadline) noexcept;

  // Wakes up to `count` in the order of arrival. Returns how many.
  long wake(uintptr_t key, uint32_t bitset, int count) noexcept;

  // Wakes up to `count` and moves up to `move` others over to another word. With `expected`: only
  // if *word is that, else -EAGAIN. Returns woken + moved, or only woken if count_moved is false.
  long requeue(uint32_t* word, uint32_t* target, bool is_private, int count, int move,
               const uint32_t* expected, bool count_moved) noexcept;

  // FUTEX_WAKE_OP: *word2 is changed and compared atomically with regard to waits on it.
  long wake_op(uint32_t* word, uint32_t* word2, bool is_private, int count, int count2,
               uint32_t operation) noexcept;

  // Priority-inheritance futexes (no priorities here: ownership and hand-over only).
  long lock_pi(uint32_t* word, uint32_t tid, bool try_only, rt::Deadline deadline) noexcept;
  long unlock_pi(uint32_t* word, uint32_t tid) noexcept;
  // The owner died, *word says so: the first waiter gets the lock, with the mark left for it.
  void inherit_pi(uint32_t* word) noexcept;

  void reset_after_fork() noexcept;

 private:
  // Precondition: the bucket's lock. Gives the lock to the first waiter that still wants it, or
  // frees it; `marks` stay set. 0 or -EFAULT.
  long hand_over_pi(FutexBucket& bucket, uint32_t* word, uint32_t marks) noexcept;
  long park_on(FutexWaiter& waiter, rt::Deadline deadline) noexcept;

  FutexBucket buckets_[4096];
};

FutexTable& futexes() noexcept;

}  // namespace tendril::kernel
