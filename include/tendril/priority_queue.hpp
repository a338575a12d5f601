// A queue that gives the least item first. (gevent: queue.PriorityQueue)
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <queue>
#include <utility>
#include <vector>

#include "tendril/condition.hpp"
#include "tendril/errors.hpp"
#include "tendril/mutex.hpp"
#include "tendril/queue.hpp"

namespace tendril {

// Getters and putters are served in the order of their arrival; any fiber or OS thread may call
// anything. Compare must not wait.
template <typename T, typename Compare = std::less<T>>
class PriorityQueue {
 public:
  explicit PriorityQueue(size_t maxsize = kUnbounded) : maxsize_(maxsize == 0 ? 1 : maxsize) {}
  PriorityQueue(const PriorityQueue&) = delete;
  PriorityQueue& operator=(const PriorityQueue&) = delete;

  // Throws Full when the timeout passes first, ShutDown.
  void put(T item, Duration timeout = kForever) {
    std::unique_lock lock(mutex_);
    const auto has_place = [this] { return shut_down_ || heap_.size() < maxsize_; };
    if (!not_full_.wait(lock, has_place, timeout)) throw Full();
    if (shut_down_) throw ShutDown();
    heap_.push(std::move(item));
    not_empty_.notify_one();
  }
  void put_nowait(T item) { put(std::move(item), Duration::zero()); }

  // Throws Empty when the timeout passes first, ShutDown when it is shut down and empty.
  T get(Duration timeout = kForever) {
    std::unique_lock lock(mutex_);
    if (!wait_for_item(lock, timeout)) throw Empty();
    if (heap_.empty()) throw ShutDown();
    T item = std::move(const_cast<T&>(heap_.top()));
    heap_.pop();
    not_full_.notify_one();
    return item;
  }
  T get_nowait() { return get(Duration::zero()); }
  std::optional<T> try_get(Duration timeout = Duration::zero()) {
    try {
      return get(timeout);
    } catch (const Empty&) {
    } catch (const ShutDown&) {
    }
    return std::nullopt;
  }

  // A copy of the least item, which stays.
  T peek(Duration timeout = kForever) {
    std::unique_lock lock(mutex_);
    if (!wait_for_item(lock, timeout)) throw Empty();
    if (heap_.empty()) throw ShutDown();
    T item = heap_.top();
    not_empty_.notify_one();
    return item;
  }

  void shutdown(bool immediate = false) {
    std::unique_lock lock(mutex_);
    shut_down_ = true;
    if (immediate) heap_ = {};
    not_empty_.notify_all();
    not_full_.notify_all();
  }

  size_t size() {
    std::unique_lock lock(mutex_);
    return heap_.size();
  }
  bool empty() { return size() == 0; }
  bool full() { return size() >= maxsize_; }

 private:
  bool wait_for_item(std::unique_lock<Mutex>& lock, Duration timeout) {
    return not_empty_.wait(
        lock, [this] { return shut_down_ || !heap_.empty(); }, timeout);
  }

  struct Greater {
    Compare less;
    bool operator()(const T& a, const T& b) const { return less(b, a); }
  };

  Mutex mutex_;
  Condition not_empty_;
  Condition not_full_;
  const size_t maxsize_;
  bool shut_down_ = false;
  std::priority_queue<T, std::vector<T>, Greater> heap_;
};

}  // namespace tendril
