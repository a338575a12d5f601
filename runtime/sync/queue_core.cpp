#include "tendril/detail/queue_core.hpp"

#include <new>

#include "runtime/memory/allocator.hpp"
#include "runtime/sync/wait_list.hpp"
#include "tendril/errors.hpp"

namespace tendril::detail {
namespace {

constexpr size_t kFirstRing = 16;

// Ends the waits of a list without a grant.
rt::Fiber* close_all(WaitList& list) noexcept {
  rt::Fiber* chain = nullptr;
  while (ApiWaiter* waiter = list.head) {
    unlink(list, *waiter);
    if (!rt::claim(waiter->token)) continue;
    waiter->closed = true;
    waiter->token.fiber->next_ready = chain;
    chain = waiter->token.fiber;
  }
  return chain;
}

size_t length_of(const WaitList& list) noexcept {
  size_t length = 0;
  for (const ApiWaiter* waiter = list.head; waiter != nullptr; waiter = waiter->next) ++length;
  return length;
}

}  // namespace

QueueCore::~QueueCore() { rt::runtime_free(ring_); }

bool QueueCore::reserve_one() noexcept {
  if (count_ < ring_size_) return true;
  const size_t size = ring_size_ == 0 ? kFirstRing : ring_size_ * 2;
  auto* ring = static_cast<uint64_t*>(rt::runtime_allocate(size * sizeof(uint64_t)));
  if (ring == nullptr) return false;
  for (size_t i = 0; i < count_; ++i) ring[i] = ring_[(first_ + i) & (ring_size_ - 1)];
  rt::runtime_free(ring_);
  ring_ = ring;
  ring_size_ = size;
  first_ = 0;
  return true;
}

QueueResult QueueCore::put(uint64_t item, Duration timeout) {
  const auto push_quickly = [&](rt::Worker*) {
    if (getters_.head != nullptr || count_ >= capacity_ || count_ >= ring_size_ || shut_down_) {
      return false;
    }
    push(item);
    ++unfinished_;
    return true;
  };
  if (__builtin_expect(quickly(lock_, push_quickly), true)) return QueueResult::kDone;
  Guard guard(lock_);
  ApiWaiter waiter;
  for (;;) {
    if (__builtin_expect(shut_down_, false)) return QueueResult::kShutDown;
    if (getters_.head != nullptr) {
      if (ApiWaiter* getter = grant_first(getters_)) {
        getter->value = item;
        ++unfinished_;
        guard.release();
        rt::let_run(getter->token.fiber);
        return QueueResult::kDone;
      }
    }
    if (__builtin_expect(count_ < capacity_, true)) {
      if (!reserve_one()) {
        guard.release();
        throw std::bad_alloc();
      }
      push(item);
      ++unfinished_;
      return QueueResult::kDone;
    }
    waiter.value = item;
    switch (block(guard, putters_, waiter, rt::WaitKind::kQueue, this, timeout)) {
      case Ended::kGranted:
        return waiter.granted ? QueueResult::kDone : QueueResult::kShutDown;
      case Ended::kTimeout:
        return QueueResult::kTimeout;
      case Ended::kDisturbed:
        break;
    }
  }
}

QueueResult QueueCore::get(uint64_t& item, Duration timeout) {
  const auto pop_quickly = [&](rt::Worker*) {
    if (count_ == 0 || putters_.head != nullptr) return false;
    item = pop();
    return true;
  };
  if (__builtin_expect(quickly(lock_, pop_quickly), true)) return QueueResult::kDone;
  Guard guard(lock_);
  ApiWaiter waiter;
  for (;;) {
    if (__builtin_expect(count_ > 0, true)) {
      item = pop();
      // The place goes to the longest waiting put, if there is one.
      if (putters_.head == nullptr || count_ >= capacity_) return QueueResult::kDone;
      ApiWaiter* putter = grant_first(putters_);
      if (putter == nullptr) return QueueResult::kDone;
      push(putter->value);
      ++unfinished_;
      guard.release();
      rt::let_run(putter->token.fiber);
      return QueueResult::kDone;
    }
    if (putters_.head != nullptr) {  // a rendezvous
      if (ApiWaiter* putter = grant_first(putters_)) {
        item = putter->value;
        ++unfinished_;
        guard.release();
        rt::let_run(putter->token.fiber);
        return QueueResult::kDone;
      }
    }
    if (shut_down_) return QueueResult::kShutDown;
    switch (block(guard, getters_, waiter, rt::WaitKind::kQueue, this, timeout)) {
      case Ended::kGranted:
        if (!waiter.granted) return QueueResult::kShutDown;
        item = waiter.value;
        return QueueResult::kDone;
      case Ended::kTimeout:
        return QueueResult::kTimeout;
      case Ended::kDisturbed:
        break;
    }
  }
}

bool QueueCore::unget(uint64_t item) {
  Guard guard(lock_);
  if (ApiWaiter* getter = grant_first(getters_)) {
    getter->value = item;
    guard.release();
    rt::let_run(getter->token.fiber);
    return true;
  }
  if (!reserve_one()) {
    guard.release();
    throw std::bad_alloc();
  }
  if (last_in_first_out_) {
    push(item);
  } else {
    first_ = (first_ - 1) & (ring_size_ - 1);
    ring_[first_] = item;
    ++count_;
  }
  return true;
}

size_t QueueCore::size() const {
  Guard guard(lock_);
  return count_;
}

void QueueCore::set_capacity(size_t capacity) {
  rt::Fiber* chain = nullptr;
  Guard guard(lock_);
  capacity_ = capacity;
  while (count_ < capacity_ && putters_.head != nullptr) {
    if (!reserve_one()) break;
    ApiWaiter* putter = grant_first(putters_);
    if (putter == nullptr) break;
    push(putter->value);
    ++unfinished_;
    putter->token.fiber->next_ready = chain;
    chain = putter->token.fiber;
  }
  guard.release();
  let_all_run(chain);
}

size_t QueueCore::getters_waiting() const {
  Guard guard(lock_);
  return length_of(getters_);
}

size_t QueueCore::putters_waiting() const {
  Guard guard(lock_);
  return length_of(putters_);
}

void QueueCore::shut_down(bool immediate, void (*drop)(uint64_t)) {
  Guard guard(lock_);
  shut_down_ = true;
  rt::Fiber* putters = close_all(putters_);
  rt::Fiber* getters = count_ == 0 || immediate ? close_all(getters_) : nullptr;
  rt::Fiber* joiners = nullptr;
  while (immediate && count_ > 0) {
    const uint64_t item = pop();
    --unfinished_;
    guard.release();
    if (drop != nullptr) drop(item);
    guard.acquire();
  }
  if (immediate && unfinished_ == 0) joiners = grant_all(joiners_);
  guard.release();
  for (rt::Fiber* chain : {putters, getters, joiners}) let_all_run(chain);
}

bool QueueCore::is_shut_down() const {
  Guard guard(lock_);
  return shut_down_;
}

void QueueCore::task_done() {
  Guard guard(lock_);
  if (unfinished_ == 0) {
    guard.release();
    throw MisuseError("tendril: task_done was called more often than put");
  }
  rt::Fiber* woken = --unfinished_ == 0 ? grant_all(joiners_) : nullptr;
  guard.release();
  let_all_run(woken);
}

bool QueueCore::wait_all_done(Duration timeout) {
  Guard guard(lock_);
  return wait_until(guard, joiners_, rt::WaitKind::kQueue, this, timeout,
                    [this] { return unfinished_ == 0; });
}

size_t QueueCore::unfinished() const {
  Guard guard(lock_);
  return unfinished_;
}

void QueueCore::drop_all(void (*drop)(uint64_t)) noexcept {
  while (count_ > 0) drop(pop());
}

}  // namespace tendril::detail
