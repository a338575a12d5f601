// Green waiters on futex words, by address.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/fiber/intrusive_list.hpp"
#include "runtime/fiber/wait.hpp"
#include "runtime/memory/pages.hpp"
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

// Operations of one kind do not go with waiters of another: EINVAL, as in the Linux kernel.
enum class FutexWaiterKind : uint8_t {
  kPlain,
  kLock,        // for a lock that inherits priority
  kForRequeue,  // to be moved over to such a lock, and to nothing else
};

struct FutexWaiter : rt::Waiter {
  uintptr_t key = 0;  // guarded by the bucket's lock, as is all below
  uint32_t bitset = 0;
  FutexBucket* bucket = nullptr;  // changes when the waiter is requeued
  FutexWaiterKind kind = FutexWaiterKind::kPlain;
  bool woken = false;           // it was on this word that the wait ended
  bool one_of_several = false;  // see wait_any
  uint32_t tid = 0;             // of who waits, if it is not plain
  uintptr_t lock_key = 0;       // of the lock that it is to be moved to
};

struct FutexAlternative {
  uint32_t* word;
  uint32_t expected;
  bool is_private;
};

struct FutexBucket {  // all zeros: free and empty
  rt::SpinLock lock;
  rt::IntrusiveList<FutexWaiter> waiters;  // in the order of arrival

  // Precondition: the lock. Who waits longest.
  FutexWaiter* first_of(uintptr_t key) noexcept {
    for (FutexWaiter* w = waiters.front(); w != nullptr; w = waiters.after(w)) {
      if (w->key == key) return w;
    }
    return nullptr;
  }
};

// Locks one or two buckets in the order of their addresses.
class FutexPairGuard {
 public:
  FutexPairGuard(FutexBucket& a, FutexBucket& b) noexcept
      : first_(&a < &b ? a : b), second_(&a < &b ? b : a) {
    first_.lock.lock();
    if (&first_ != &second_) second_.lock.lock();
  }
  ~FutexPairGuard() {
    if (&first_ != &second_) second_.lock.unlock();
    first_.lock.unlock();
  }
  FutexPairGuard(const FutexPairGuard&) = delete;
  FutexPairGuard& operator=(const FutexPairGuard&) = delete;

 private:
  FutexBucket& first_;
  FutexBucket& second_;
};

// Those whose waits have been claimed under the lock of a bucket. They may run when it is gone, so
// that lock is taken after this is made: who is let run may take the processor at once (one of a
// higher real-time priority does), and would want the lock.
class WokenWaiters {
 public:
  WokenWaiters() = default;
  ~WokenWaiters() { let_run(); }
  WokenWaiters(const WokenWaiters&) = delete;
  WokenWaiters& operator=(const WokenWaiters&) = delete;

  // Takes it out of its bucket; false if its wait has ended otherwise. Precondition: the bucket's
  // lock.
  bool take(FutexWaiter* waiter) noexcept;

 private:
  void let_run() noexcept;
  rt::IntrusiveList<FutexWaiter> waiters_;
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

  // Wakes up to `count` in the order of arrival. Returns how many, or -EINVAL.
  long wake(uintptr_t key, uint32_t bitset, int count) noexcept;

  // Wakes up to `count` and moves up to `move` others over to another word. With `expected`: only
  // if *word is that, else -EAGAIN. Returns woken + moved, or only woken if count_moved is false.
  long requeue(uint32_t* word, uint32_t* target, bool is_private, int count, int move,
               const uint32_t* expected, bool count_moved) noexcept;

  // FUTEX_WAKE_OP: *word2 is changed and compared atomically with regard to waits on it.
  long wake_op(uint32_t* word, uint32_t* word2, bool is_private, int count, int count2,
               uint32_t operation) noexcept;

  // --- locks that inherit priority (futex_pi.cpp): ownership and hand-over, no priorities ---
  long lock_pi(uint32_t* word, bool is_private, uint32_t tid, bool try_only,
               rt::Deadline deadline) noexcept;
  long unlock_pi(uint32_t* word, bool is_private, uint32_t tid) noexcept;
  // The owner died, *word says so: the first waiter gets the lock, with the mark left for it.
  void inherit_pi(uint32_t* word) noexcept;

  // Waits on the word to be moved over to the lock, and then for that. 0: has the lock. -EINTR:
  // interrupted before it was moved; -EAGAIN: after that, or *word was not as expected.
  long wait_requeue_pi(uint32_t* word, bool is_private, uint32_t expected, uint32_t* lock,
                       uint32_t tid, rt::Deadline deadline) noexcept;
  // Gives the first who waits so the lock, if that is free, and moves up to `move` others over to
  // it, or one more if it is not. Only if *word is as expected, else -EAGAIN.
  long requeue_pi(uint32_t* word, uint32_t* lock, bool is_private, uint32_t expected,
                  int move) noexcept;

  void reset_after_fork() noexcept;

 private:
  static long hand_over_pi(FutexBucket& bucket, uint32_t* word, uint32_t marks,
                           WokenWaiters& woken) noexcept;
  static long give_or_mark_pi(FutexBucket& destination, uint32_t* lock, FutexWaiter& first,
                              bool others_follow, WokenWaiters& woken) noexcept;
  long queue_if_equal(FutexWaiter& waiter, uint32_t* word, uint32_t expected) noexcept;
  static void move_to(FutexWaiter& waiter, FutexBucket& source, FutexBucket& destination,
                      uintptr_t key, const uint32_t* word) noexcept;
  static long park_on(FutexWaiter& waiter, rt::Deadline deadline) noexcept;

  alignas(rt::kPageSize) FutexBucket buckets_[4096];
};

extern constinit FutexTable the_futexes;
inline FutexTable& futexes() noexcept { return the_futexes; }

}  // namespace tendril::kernel
