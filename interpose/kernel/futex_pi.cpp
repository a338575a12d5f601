// Locks that inherit priority: a word that holds its owner's thread id, and a queue of those who
// wait for it. (There are no priorities here.)
#include <linux/futex.h>

#include <cerrno>

#include "interpose/kernel/futex_table.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "runtime/hub/park.hpp"

namespace tendril::kernel {
namespace {

// Robust lists do not say whether a lock is private: those who wait for it are found either way.
bool waits_for(const FutexWaiter& waiter, const uint32_t* word) noexcept {
  return waiter.kind == FutexWaiterKind::kLock &&
         (waiter.key & ~uintptr_t{1}) == reinterpret_cast<uintptr_t>(word);
}

bool is_of_another_kind(const FutexWaiter* waiter) noexcept {
  return waiter != nullptr && waiter->kind != FutexWaiterKind::kLock;
}

// Changes the word from `value`; if that is not what it holds any more, `value` becomes what it
// does, and nothing else has happened: 1. 0 or -EFAULT.
long replace(uint32_t* word, uint32_t& value, uint32_t wanted) noexcept {
  uint32_t seen;
  if (tendril_user_cas32(word, value, wanted, &seen) != 0) return -EFAULT;
  if (seen == value) return 0;
  value = seen;
  return 1;
}

}  // namespace

long FutexTable::lock_pi(uint32_t* word, bool is_private, uint32_t tid, bool try_only,
                         rt::Deadline deadline) noexcept {
  FutexWaiter waiter;
  waiter.key = futex_key(word, is_private);
  waiter.kind = FutexWaiterKind::kLock;
  waiter.tid = tid;
  FutexBucket& bucket = bucket_of(waiter.key);
  waiter.bucket = &bucket;
  {
    rt::SpinGuard guard(bucket.lock);
    uint32_t value;
    if (tendril_user_load32(word, &value) != 0) return -EFAULT;
    for (;;) {
      const uint32_t owner = value & FUTEX_TID_MASK;
      if (owner == tid) return -EDEADLK;
      if (is_of_another_kind(bucket.first_of(waiter.key))) return -EINVAL;
      if (owner != 0 && try_only) return -EAGAIN;
      // A dead owner's lock is taken over, its OWNER_DIED mark kept for the C library.
      const uint32_t wanted =
          owner == 0 ? tid | (value & (FUTEX_OWNER_DIED | FUTEX_WAITERS)) : value | FUTEX_WAITERS;
      const long result = replace(word, value, wanted);
      if (result < 0) return result;
      if (result > 0) continue;
      if (owner == 0) return 0;
      break;
    }
    waiter.token = rt::begin_wait(rt::WaitKind::kFutex, word);
    bucket.waiters.push_back(&waiter);
  }
  return park_on(waiter, deadline);  // woken: unlock_pi has made us the owner
}

long FutexTable::unlock_pi(uint32_t* word, bool is_private, uint32_t tid) noexcept {
  const uintptr_t key = futex_key(word, is_private);
  FutexBucket& bucket = bucket_of(key);
  WokenWaiters woken;
  rt::SpinGuard guard(bucket.lock);
  uint32_t value;
  if (tendril_user_load32(word, &value) != 0) return -EFAULT;
  if ((value & FUTEX_TID_MASK) != tid) return -EPERM;
  if (is_of_another_kind(bucket.first_of(key))) return -EINVAL;
  return hand_over_pi(bucket, word, 0, woken);
}

void FutexTable::inherit_pi(uint32_t* word) noexcept {
  FutexBucket& bucket = bucket_of(futex_key(word, /*is_private=*/true));
  WokenWaiters woken;
  rt::SpinGuard guard(bucket.lock);
  hand_over_pi(bucket, word, FUTEX_OWNER_DIED, woken);
}

// Precondition: the bucket's lock. Gives the lock to the first waiter that still wants it, or frees
// it; `marks` stay set. 0 or -EFAULT.
long FutexTable::hand_over_pi(FutexBucket& bucket, uint32_t* word, uint32_t marks,
                              WokenWaiters& woken) noexcept {
  uint32_t value;
  if (tendril_user_load32(word, &value) != 0) return -EFAULT;
  for (;;) {
    FutexWaiter* heir = nullptr;
    bool more = false;
    for (FutexWaiter* w = bucket.waiters.front(); w != nullptr; w = bucket.waiters.after(w)) {
      if (!waits_for(*w, word)) continue;
      if (heir != nullptr) {
        more = true;
        break;
      }
      heir = w;
    }
    const uint32_t wanted = marks | (heir == nullptr ? 0 : heir->tid | (more ? FUTEX_WAITERS : 0U));
    long result;
    while ((result = replace(word, value, wanted)) > 0) {
    }
    if (result < 0) return result;
    if (heir == nullptr) return 0;
    if (woken.take(heir)) return 0;
    value = wanted;  // it had given up: the next one
  }
}

long FutexTable::wait_requeue_pi(uint32_t* word, bool is_private, uint32_t expected, uint32_t* lock,
                                 uint32_t tid, rt::Deadline deadline) noexcept {
  FutexWaiter waiter;
  waiter.key = futex_key(word, is_private);
  waiter.kind = FutexWaiterKind::kForRequeue;
  waiter.tid = tid;
  waiter.lock_key = futex_key(lock, is_private);
  if (const long error = queue_if_equal(waiter, word, expected); error != 0) return error;
  const long result = park_on(waiter, deadline);
  // The wait on the word is over: it cannot be begun again.
  return result == -EINTR && waiter.kind == FutexWaiterKind::kLock ? -EAGAIN : result;
}

// Precondition: the locks of both buckets. Gives the lock to the first of those who are to be
// moved: 1. Or marks it as waited for: 0. -ESRCH: that one has given up meanwhile.
long FutexTable::give_or_mark_pi(FutexBucket& destination, uint32_t* lock, FutexWaiter& first,
                                 bool others_follow, WokenWaiters& woken) noexcept {
  uint32_t value;
  if (tendril_user_load32(lock, &value) != 0) return -EFAULT;
  for (;;) {
    const uint32_t owner = value & FUTEX_TID_MASK;
    if (owner == first.tid) return -EDEADLK;
    const FutexWaiter* waiting = destination.first_of(first.lock_key);
    if (is_of_another_kind(waiting)) return -EINVAL;
    const bool is_free = owner == 0 && waiting == nullptr;
    const uint32_t wanted =
        is_free ? first.tid | (value & FUTEX_OWNER_DIED) | (others_follow ? FUTEX_WAITERS : 0U)
                : value | FUTEX_WAITERS;
    const uint32_t before = value;
    const long result = replace(lock, value, wanted);
    if (result < 0) return result;
    if (result > 0) continue;
    if (!is_free) return 0;
    if (woken.take(&first)) return 1;
    for (value = wanted; replace(lock, value, before | (value & FUTEX_WAITERS)) > 0;) {
    }
    return -ESRCH;
  }
}

long FutexTable::requeue_pi(uint32_t* word, uint32_t* lock, bool is_private, uint32_t expected,
                            int move) noexcept {
  const uintptr_t from = futex_key(word, is_private);
  const uintptr_t to = futex_key(lock, is_private);
  FutexBucket& source = bucket_of(from);
  FutexBucket& destination = bucket_of(to);
  WokenWaiters woken;
  FutexPairGuard guard(source, destination);
  uint32_t value;
  if (tendril_user_load32(word, &value) != 0) return -EFAULT;
  if (value != expected) return -EAGAIN;
  const auto fits = [&](const FutexWaiter& waiter) {
    return waiter.kind == FutexWaiterKind::kForRequeue && waiter.lock_key == to;
  };
  long given;
  do {
    FutexWaiter* first = source.first_of(from);
    if (first == nullptr) return 0;
    if (!fits(*first)) return -EINVAL;
    given = give_or_mark_pi(destination, lock, *first, move != 0, woken);
  } while (given == -ESRCH);
  if (given < 0) return given;

  long moved = given;
  for (FutexWaiter* waiter = source.waiters.front(); waiter != nullptr && moved - 1 < move;) {
    FutexWaiter* next = source.waiters.after(waiter);
    if (waiter->key == from) {
      if (!fits(*waiter)) return -EINVAL;
      waiter->kind = FutexWaiterKind::kLock;
      move_to(*waiter, source, destination, to, lock);
      ++moved;
    }
    waiter = next;
  }
  return moved;
}

}  // namespace tendril::kernel
