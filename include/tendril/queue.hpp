// Queues between fibers, and between OS threads. (gevent: queue.Queue, SimpleQueue, LifoQueue,
// JoinableQueue, Channel)
//
// Fair: getters and putters are served in the order of their arrival, and an item put while
// somebody waits for one is theirs. Any fiber or OS thread may call anything; an item that was put
// is got exactly once, or dropped by shutdown(true) or the destructor.
#pragma once

#include <cstring>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include "tendril/detail/queue_core.hpp"
#include "tendril/errors.hpp"

namespace tendril {

namespace detail {

// How a T travels through a QueueCore: small plain values in the word itself, others by pointer.
template <typename T>
struct Packing {
  static constexpr bool kInWord = std::is_trivially_copyable_v<T> && sizeof(T) <= 8;

  static uint64_t pack(T&& value) {
    if constexpr (kInWord) {
      uint64_t word = 0;
      std::memcpy(&word, std::addressof(value), sizeof(T));
      return word;
    } else {
      return reinterpret_cast<uint64_t>(new T(std::move(value)));
    }
  }
  static T unpack(uint64_t word) {
    if constexpr (kInWord) {
      alignas(T) unsigned char bytes[sizeof(T)];
      std::memcpy(bytes, &word, sizeof(T));
      return *std::launder(reinterpret_cast<T*>(bytes));
    } else {
      const std::unique_ptr<T> owned(reinterpret_cast<T*>(word));
      return std::move(*owned);
    }
  }
  static void drop(uint64_t word) noexcept {
    if constexpr (!kInWord) delete reinterpret_cast<T*>(word);
  }
  // Gives a value that was not taken back to its owner.
  static void restore(uint64_t word, T& value) {
    if constexpr (!kInWord) value = unpack(word);
  }
};

template <typename T>
class TypedQueue {
  using Pack = Packing<T>;

 public:
  TypedQueue(const TypedQueue&) = delete;
  TypedQueue& operator=(const TypedQueue&) = delete;
  ~TypedQueue() { core_.drop_all(&Pack::drop); }

  // Waits for a free place. Throws Full when the timeout passes first, ShutDown.
  void put(T item, Duration timeout = kForever) {
    const uint64_t word = Pack::pack(std::move(item));
    if (__builtin_expect(core_.put_plainly(word), true)) return;
    QueueResult result;
    try {
      result = core_.put(word, timeout);
    } catch (...) {
      Pack::drop(word);
      throw;
    }
    if (__builtin_expect(result == QueueResult::kDone, true)) return;
    Pack::drop(word);
    if (result == QueueResult::kTimeout) throw Full();
    throw ShutDown();
  }
  void put_nowait(T item) { put(std::move(item), Duration::zero()); }

  // False if it was not put; then the item is the caller's still.
  bool try_put(T& item, Duration timeout = Duration::zero()) {
    const uint64_t word = Pack::pack(std::move(item));
    try {
      if (core_.put(word, timeout) == QueueResult::kDone) return true;
    } catch (...) {
      Pack::restore(word, item);
      throw;
    }
    Pack::restore(word, item);
    return false;
  }
  bool try_put(T&& item, Duration timeout = Duration::zero()) { return try_put(item, timeout); }

  // Waits for an item. Throws Empty when the timeout passes first, ShutDown when it is shut down
  // and empty.
  T get(Duration timeout = kForever) {
    uint64_t word;
    if (__builtin_expect(core_.get_plainly(word), true)) return Pack::unpack(word);
    const QueueResult result = core_.get(word, timeout);
    if (__builtin_expect(result == QueueResult::kDone, true)) return Pack::unpack(word);
    if (result == QueueResult::kTimeout) throw Empty();
    throw ShutDown();
  }
  T get_nowait() { return get(Duration::zero()); }

  // Nothing when the timeout passes first or it is shut down and empty.
  std::optional<T> try_get(Duration timeout = Duration::zero()) {
    uint64_t word;
    if (core_.get(word, timeout) != QueueResult::kDone) return std::nullopt;
    return Pack::unpack(word);
  }

  size_t size() const { return core_.size(); }  // items that nobody has got yet
  bool empty() const { return size() == 0; }

  // No more puts. Those who wait to put get ShutDown; getters too, once it is empty: at once if
  // `immediate`, which drops what is in it.
  void shutdown(bool immediate = false) { core_.shut_down(immediate, &Pack::drop); }
  bool is_shut_down() const { return core_.is_shut_down(); }

  // Getting until it is shut down and empty: for (auto& item : queue).
  class Iterator {
   public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    explicit Iterator(TypedQueue& queue) : queue_(&queue) { ++*this; }
    T& operator*() { return *item_; }
    Iterator& operator++() {
      item_.reset();
      if (auto next = queue_->try_get(kForever)) item_.emplace(std::move(*next));
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !item_.has_value(); }

   private:
    TypedQueue* queue_;
    std::optional<T> item_;
  };
  Iterator begin() { return Iterator(*this); }
  std::default_sentinel_t end() { return {}; }

  QueueCore& core() noexcept { return core_; }  // for the library: select

 protected:
  explicit TypedQueue(size_t capacity, bool last_in_first_out = false)
      : core_(capacity, last_in_first_out) {}
  QueueCore core_;
};

}  // namespace detail

inline constexpr size_t kUnbounded = detail::QueueCore::kUnbounded;

// Holds up to maxsize items; put waits while it is full.
template <typename T>
class Queue : public detail::TypedQueue<T> {
 public:
  explicit Queue(size_t maxsize = kUnbounded) : detail::TypedQueue<T>(maxsize == 0 ? 1 : maxsize) {}

  bool full() const { return this->size() >= maxsize(); }
  size_t maxsize() const noexcept { return this->core_.capacity(); }

  // A copy of the next item, which stays. Throws as get.
  T peek(Duration timeout = kForever) requires std::is_copy_constructible_v<T> {
    T item = this->get(timeout);
    uint64_t word = detail::Packing<T>::pack(T(item));
    this->core_.unget(word);
    return item;
  }
  T peek_nowait() requires std::is_copy_constructible_v<T> { return peek(Duration::zero()); }
};

// Without a bound: put never waits.
template <typename T>
class SimpleQueue : public detail::TypedQueue<T> {
 public:
  SimpleQueue() : detail::TypedQueue<T>(kUnbounded) {}
};

// The last item put is the first got.
template <typename T>
class LifoQueue : public detail::TypedQueue<T> {
 public:
  explicit LifoQueue(size_t maxsize = kUnbounded)
      : detail::TypedQueue<T>(maxsize == 0 ? 1 : maxsize, true) {}
};

// Counts the items whose work is not done yet.
template <typename T>
class JoinableQueue : public Queue<T> {
 public:
  using Queue<T>::Queue;
  // For each item got, when its work is done. Throws MisuseError when called too often.
  void task_done() { this->core_.task_done(); }
  // Waits until every item put is done; false if the timeout passed first.
  bool join(Duration timeout = kForever) { return this->core_.wait_all_done(timeout); }
  size_t unfinished_tasks() const { return this->core_.unfinished(); }
};

// Holds nothing: put and get wait for each other. (gevent: Channel)
template <typename T>
class Channel : public detail::TypedQueue<T> {
 public:
  Channel() : detail::TypedQueue<T>(0) {}
};

}  // namespace tendril
