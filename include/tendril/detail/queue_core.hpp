// A queue of machine words, on which the typed queues stand.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tendril/detail/sync_state.hpp"
#include "tendril/time.hpp"

namespace tendril::detail {

enum class QueueResult : uint8_t { kDone, kTimeout, kShutDown };

class QueueCore {
 public:
  static constexpr size_t kUnbounded = SIZE_MAX;

  // capacity 0: a rendezvous, each put waits for its get.
  explicit QueueCore(size_t capacity, bool last_in_first_out = false) noexcept
      : capacity_(capacity), last_in_first_out_(last_in_first_out) {}
  ~QueueCore();
  QueueCore(const QueueCore&) = delete;
  QueueCore& operator=(const QueueCore&) = delete;

  // What is done most often, without a call: if there is room, or an item, nobody waits for it and
  // the queue has been used by this OS thread only. False, and nothing done, otherwise.
  bool put_plainly(uint64_t item) noexcept {
    return plainly(lock_, [this, item](const void*) {
      if (getters_.head != nullptr || count_ >= capacity_ || count_ >= ring_size_ || shut_down_) {
        return false;
      }
      push(item);
      ++unfinished_;
      return true;
    });
  }
  bool get_plainly(uint64_t& item) noexcept {
    return plainly(lock_, [this, &item](const void*) {
      if (count_ == 0 || putters_.head != nullptr) return false;
      item = pop();
      return true;
    });
  }

  // Throw what is thrown into the fiber; put also std::bad_alloc, and then keeps nothing.
  QueueResult put(uint64_t item, Duration timeout);
  QueueResult get(uint64_t& item, Duration timeout);
  // Puts an item back in front; never waits, may exceed the capacity. False: shut down for good.
  bool unget(uint64_t item);

  size_t size() const;
  size_t capacity() const noexcept { return capacity_; }
  void set_capacity(size_t capacity);
  size_t getters_waiting() const;
  size_t putters_waiting() const;

  // No more puts: those that wait end with kShutDown; gets go on until it is empty; if immediate,
  // it is emptied at once, into drop.
  void shut_down(bool immediate, void (*drop)(uint64_t));
  bool is_shut_down() const;

  // Of a queue that counts: items put and not yet reported done.
  void task_done();  // throws MisuseError if there are none
  bool wait_all_done(Duration timeout);
  size_t unfinished() const;
  void drop_all(void (*drop)(uint64_t)) noexcept;  // nobody else may be using it

 private:
  friend struct SelectAccess;
  bool reserve_one() noexcept;
  void push(uint64_t item) noexcept { ring_[(first_ + count_++) & (ring_size_ - 1)] = item; }
  uint64_t pop() noexcept {
    --count_;
    if (last_in_first_out_) return ring_[(first_ + count_) & (ring_size_ - 1)];
    const uint64_t item = ring_[first_];
    first_ = (first_ + 1) & (ring_size_ - 1);
    return item;
  }

  mutable BiasedLock lock_;  // guards everything below
  uint64_t* ring_ = nullptr;
  size_t ring_size_ = 0;  // a power of two
  size_t first_ = 0;
  size_t count_ = 0;
  size_t capacity_;
  const bool last_in_first_out_;
  bool shut_down_ = false;
  size_t unfinished_ = 0;
  WaitList getters_;
  WaitList putters_;  // each with its item in ApiWaiter::value
  WaitList joiners_;
};

}  // namespace tendril::detail
