#include "interpose/kernel/futex_table.hpp"

#include <linux/futex.h>

#include <cerrno>

#include "interpose/kernel/user_memory.hpp"
#include "runtime/hub/park.hpp"
#include "runtime/platform/process_wide.hpp"

namespace tendril::kernel {
namespace {

// Precondition: the bucket's lock. -EINVAL where it finds one that is not plain, which hides how
// many it has woken before.
int wake_locked(FutexBucket& bucket, uintptr_t key, uint32_t bitset, int count,
                WokenWaiters& woken) noexcept {
  int found = 0;
  for (FutexWaiter* waiter = bucket.waiters.front(); waiter != nullptr && found < count;) {
    FutexWaiter* next = bucket.waiters.after(waiter);
    if (waiter->key == key && waiter->kind != FutexWaiterKind::kPlain) return -EINVAL;
    if (waiter->key == key && (waiter->bitset & bitset) != 0 && woken.take(waiter)) ++found;
    waiter = next;
  }
  return found;
}

// A requeue may move it from one bucket to another under our hands.
void take_out(FutexWaiter& waiter) noexcept {
  for (;;) {
    FutexBucket* bucket = std::atomic_ref(waiter.bucket).load(std::memory_order_acquire);
    rt::SpinGuard guard(bucket->lock);
    if (bucket != waiter.bucket) continue;
    if (waiter.linked()) bucket->waiters.remove(&waiter);
    return;
  }
}

long result_of(rt::WakeReason reason) noexcept {
  switch (reason) {
    case rt::WakeReason::kWoken:
      return 0;
    case rt::WakeReason::kTimeout:
      return -ETIMEDOUT;
    default:
      return -EINTR;
  }
}

int32_t sign_extended(uint32_t field) noexcept { return static_cast<int32_t>(field << 20) >> 20; }

}  // namespace

constinit FutexTable the_futexes;

bool WokenWaiters::take(FutexWaiter* waiter) noexcept {
  rt::IntrusiveList<FutexWaiter>::remove(waiter);
  const bool ends_wait = rt::claim(waiter->token);
  // Who waits on several words can be woken on each until it runs, as in the Linux kernel.
  if (!ends_wait && !waiter->one_of_several) return false;
  waiter->woken = true;
  if (!ends_wait) return true;
  waiters_.push_back(waiter);  // it stays where it is until its fiber runs
  return true;
}

void WokenWaiters::let_run() noexcept {
  while (FutexWaiter* waiter = waiters_.pop_front()) rt::let_run(waiter->token.fiber);
}

// Begins the wait of a waiter that has its key: 0. -EAGAIN if the word holds something else, or
// -EFAULT: nothing has begun.
long FutexTable::queue_if_equal(FutexWaiter& waiter, uint32_t* word, uint32_t expected) noexcept {
  FutexBucket& bucket = bucket_of(waiter.key);
  waiter.bucket = &bucket;
  rt::SpinGuard guard(bucket.lock);
  uint32_t value;
  if (tendril_user_load32(word, &value) != 0) return -EFAULT;
  if (value != expected) return -EAGAIN;
  waiter.token = rt::begin_wait(rt::WaitKind::kFutex, word);
  bucket.waiters.push_back(&waiter);
  return 0;
}

// Precondition: the locks of both buckets.
void FutexTable::move_to(FutexWaiter& waiter, FutexBucket& source, FutexBucket& destination,
                         uintptr_t key, const uint32_t* word) noexcept {
  source.waiters.remove(&waiter);
  waiter.key = key;
  waiter.token.fiber->wait_object = word;
  std::atomic_ref(waiter.bucket).store(&destination, std::memory_order_release);
  destination.waiters.push_back(&waiter);
}

// Precondition: the waiter is queued, its wait open.
long FutexTable::park_on(FutexWaiter& waiter, rt::Deadline deadline) noexcept {
  const rt::WakeReason reason = rt::park(deadline);
  if (reason != rt::WakeReason::kWoken) take_out(waiter);  // else it has been
  return result_of(reason);
}

long FutexTable::wait(uint32_t* word, bool is_private, uint32_t expected, uint32_t bitset,
                      rt::Deadline deadline) noexcept {
  FutexWaiter waiter;
  waiter.key = futex_key(word, is_private);
  waiter.bitset = bitset;
  const long error = queue_if_equal(waiter, word, expected);
  return error != 0 ? error : park_on(waiter, deadline);
}

long FutexTable::wait_any(const FutexAlternative* words, size_t count, FutexWaiter* places,
                          rt::Deadline deadline) noexcept {
  const rt::WaitToken token = rt::begin_wait(rt::WaitKind::kFutex, words[0].word);
  long error = 0;
  size_t queued = 0;
  for (; queued < count && error == 0; ++queued) {
    FutexWaiter* waiter = new (&places[queued]) FutexWaiter;
    waiter->token = token;
    waiter->one_of_several = true;
    waiter->key = futex_key(words[queued].word, words[queued].is_private);
    waiter->bitset = FUTEX_BITSET_MATCH_ANY;
    waiter->bucket = &bucket_of(waiter->key);
    rt::SpinGuard guard(waiter->bucket->lock);
    uint32_t value;
    if (tendril_user_load32(words[queued].word, &value) != 0) {
      error = -EFAULT;
    } else if (value != words[queued].expected) {
      error = -EAGAIN;
    } else {
      waiter->bucket->waiters.push_back(waiter);
    }
  }
  // Woken on an earlier word while a later one was looked at: that counts.
  const bool parks = error == 0 || !rt::cancel_wait(token);
  if (parks) {
    const rt::WakeReason reason = rt::park(error == 0 ? deadline : rt::kForever);
    if (error == 0) error = result_of(reason);
  }
  long index = -1;
  for (size_t i = 0; i < queued; ++i) {
    take_out(places[i]);
    if (places[i].woken) index = static_cast<long>(i);
  }
  return index >= 0 ? index : error;
}

long FutexTable::wake(uintptr_t key, uint32_t bitset, int count) noexcept {
  FutexBucket& bucket = bucket_of(key);
  WokenWaiters woken;
  rt::SpinGuard guard(bucket.lock);
  return wake_locked(bucket, key, bitset, count, woken);
}

long FutexTable::requeue(uint32_t* word, uint32_t* target, bool is_private, int count, int move,
                         const uint32_t* expected, bool count_moved) noexcept {
  const uintptr_t from = futex_key(word, is_private);
  const uintptr_t to = futex_key(target, is_private);
  FutexBucket& source = bucket_of(from);
  FutexBucket& destination = bucket_of(to);
  WokenWaiters let_run;
  FutexPairGuard guard(source, destination);
  if (expected != nullptr) {
    uint32_t value;
    if (tendril_user_load32(word, &value) != 0) return -EFAULT;
    if (value != *expected) return -EAGAIN;
  }
  const int woken = wake_locked(source, from, FUTEX_BITSET_MATCH_ANY, count, let_run);
  if (woken < 0) return woken;
  int moved = 0;
  for (FutexWaiter* waiter = source.waiters.front(); waiter != nullptr && moved < move;) {
    FutexWaiter* next = source.waiters.after(waiter);
    if (waiter->key == from && waiter->kind != FutexWaiterKind::kPlain) return -EINVAL;
    if (waiter->key == from) {
      if (from != to) move_to(*waiter, source, destination, to, target);
      ++moved;  // to the same word, too
    }
    waiter = next;
  }
  return count_moved ? woken + moved : woken;
}

long FutexTable::wake_op(uint32_t* word, uint32_t* word2, bool is_private, int count, int count2,
                         uint32_t operation) noexcept {
  const uint32_t op = operation >> 28 & 7;
  const bool shift = (operation >> 28 & 8) != 0;
  const uint32_t comparison = operation >> 24 & 15;
  int32_t argument = sign_extended(operation >> 12 & 0xfff);
  const int32_t compared = sign_extended(operation & 0xfff);
  if (shift) argument = static_cast<int32_t>(1U << (argument & 31));
  if (op > FUTEX_OP_XOR) return -ENOSYS;

  const uintptr_t key = futex_key(word, is_private);
  const uintptr_t key2 = futex_key(word2, is_private);
  FutexBucket& bucket = bucket_of(key);
  FutexBucket& bucket2 = bucket_of(key2);
  WokenWaiters let_run;
  FutexPairGuard guard(bucket, bucket2);
  uint32_t old;
  if (tendril_user_load32(word2, &old) != 0) return -EFAULT;
  for (;;) {
    const auto a = static_cast<uint32_t>(argument);
    uint32_t wanted = a;
    switch (op) {
      case FUTEX_OP_ADD:
        wanted = old + a;
        break;
      case FUTEX_OP_OR:
        wanted = old | a;
        break;
      case FUTEX_OP_ANDN:
        wanted = old & ~a;
        break;
      case FUTEX_OP_XOR:
        wanted = old ^ a;
        break;
      default:
        break;
    }
    uint32_t seen;
    if (tendril_user_cas32(word2, old, wanted, &seen) != 0) return -EFAULT;
    if (seen == old) break;
    old = seen;
  }
  // As the kernel: the operation has happened by then.
  if (comparison > FUTEX_OP_CMP_GE) return -ENOSYS;
  long woken = wake_locked(bucket, key, FUTEX_BITSET_MATCH_ANY, count, let_run);
  const auto before = static_cast<int32_t>(old);
  bool holds = false;
  switch (comparison) {
    case FUTEX_OP_CMP_EQ:
      holds = before == compared;
      break;
    case FUTEX_OP_CMP_NE:
      holds = before != compared;
      break;
    case FUTEX_OP_CMP_LT:
      holds = before < compared;
      break;
    case FUTEX_OP_CMP_LE:
      holds = before <= compared;
      break;
    case FUTEX_OP_CMP_GT:
      holds = before > compared;
      break;
    default:
      holds = before >= compared;
      break;
  }
  if (woken < 0 || !holds) return woken;
  const long more = wake_locked(bucket2, key2, FUTEX_BITSET_MATCH_ANY, count2, let_run);
  return more < 0 ? more : woken + more;
}

void FutexTable::reset_after_fork() noexcept {
  static_assert(sizeof buckets_ % rt::kPageSize == 0);
  rt::clear_pages(buckets_, sizeof buckets_);
}

}  // namespace tendril::kernel
