// Run queues: FIFO lists of ready fibers.
#pragma once

#include <atomic>
#include <cstddef>

#include "runtime/fiber/fiber.hpp"

namespace tendril::rt {

// Not thread-safe: of one worker, or guarded by a lock.
class LocalQueue {
 public:
  bool empty() const noexcept { return head_ == nullptr; }
  Fiber* front() const noexcept { return head_; }

  void push(Fiber* fiber) noexcept {
    fiber->next_ready = nullptr;
    if (head_ == nullptr) {
      head_ = fiber;
    } else {
      tail_->next_ready = fiber;
    }
    tail_ = fiber;
  }

  // The same as !empty(), as a hint for others.
  bool seems_filled() const noexcept {
    return __atomic_load_n(&head_, __ATOMIC_RELAXED) != nullptr;
  }

  void push_front(Fiber* fiber) noexcept {
    if (head_ == nullptr) tail_ = fiber;
    fiber->next_ready = head_;
    head_ = fiber;
  }

  Fiber* pop() noexcept {
    Fiber* fiber = head_;
    if (fiber != nullptr) head_ = fiber->next_ready;
    return fiber;
  }

  // Takes the first and adds another at the end. Precondition: not empty.
  Fiber* exchange(Fiber* added) noexcept {
    Fiber* first = head_;
    added->next_ready = nullptr;
    tail_->next_ready = added;
    tail_ = added;
    head_ = first->next_ready;
    return first;
  }

  // For choices that are not first come, first served: counting and taking walk the queue.
  size_t size() const noexcept {
    size_t count = 0;
    for (const Fiber* fiber = head_; fiber != nullptr; fiber = fiber->next_ready) ++count;
    return count;
  }
  // Precondition: index < size().
  Fiber* take(size_t index) noexcept {
    Fiber* before = nullptr;
    Fiber* fiber = head_;
    for (; index > 0; --index) {
      before = fiber;
      fiber = fiber->next_ready;
    }
    (before == nullptr ? head_ : before->next_ready) = fiber->next_ready;
    if (fiber == tail_) tail_ = before;
    return fiber;
  }

  // The first that may move to another worker, among those in front; null if there is none.
  Fiber* pop_movable() noexcept {
    constexpr int kLooks = 64;
    Fiber* before = nullptr;
    int looks = kLooks;
    for (Fiber* fiber = head_; fiber != nullptr && looks > 0; fiber = fiber->next_ready, --looks) {
      if (!fiber->pinned) {
        (before == nullptr ? head_ : before->next_ready) = fiber->next_ready;
        if (fiber == tail_) tail_ = before;
        return fiber;
      }
      before = fiber;
    }
    return nullptr;
  }

  void clear() noexcept { head_ = nullptr; }

 private:
  Fiber* head_ = nullptr;
  Fiber* tail_ = nullptr;
};

// What other OS threads made ready: many producers, one consumer, no lock.
class Inbox {
 public:
  // Returns true if it was empty before.
  bool push(Fiber* fiber) noexcept {
    Fiber* head = head_.load(std::memory_order_relaxed);
    do {
      fiber->next_ready = head;
    } while (!head_.compare_exchange_weak(head, fiber, std::memory_order_seq_cst,
                                          std::memory_order_relaxed));
    return head == nullptr;
  }

  bool empty() const noexcept { return head_.load(std::memory_order_seq_cst) == nullptr; }

  // Everything, in the order of arrival, linked by next_ready.
  Fiber* take_all() noexcept {
    Fiber* stack = head_.exchange(nullptr, std::memory_order_acquire);
    Fiber* fifo = nullptr;
    while (stack != nullptr) {
      Fiber* next = stack->next_ready;
      stack->next_ready = fifo;
      fifo = stack;
      stack = next;
    }
    return fifo;
  }

  void clear() noexcept { head_.store(nullptr, std::memory_order_relaxed); }

 private:
  std::atomic<Fiber*> head_{nullptr};
};

}  // namespace tendril::rt
