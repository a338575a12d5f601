// Waiting for several fibers or other objects. (gevent: joinall, killall, wait, iwait)
#pragma once

#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <vector>

#include "tendril/async_result.hpp"
#include "tendril/detail/select_core.hpp"
#include "tendril/fiber.hpp"
#include "tendril/queue.hpp"
#include "tendril/semaphore.hpp"

namespace tendril {

namespace detail {

// What is left of a timeout that covers several waits.
class TimeLeft {
 public:
  explicit TimeLeft(Duration timeout)
      : forever_(timeout == kForever),
        end_(std::chrono::steady_clock::now() + (forever_ ? Duration::zero() : timeout)) {}
  Duration left() const {
    if (forever_) return kForever;
    return std::max(Duration::zero(), Duration(end_ - std::chrono::steady_clock::now()));
  }

 private:
  bool forever_;
  std::chrono::steady_clock::time_point end_;
};

}  // namespace detail

// The fibers in the order in which they end, those that have ended first. One range for iteration;
// stops when all have been given or the timeout has passed.
//
//   for (FiberHandle done : iwait(fibers, 5s)) …
class EndedFibers {
 public:
  template <std::ranges::input_range Fibers>
  EndedFibers(const Fibers& fibers, Duration timeout)
      : ended_(std::make_shared<SimpleQueue<FiberHandle>>()), left_(timeout) {
    for (const FiberHandle& fiber : fibers) {
      ++missing_;
      if (fiber.ready()) {
        ended_->put(fiber);
      } else {
        links_.push_back(
            {fiber, fiber.link([queue = ended_](const FiberHandle& done) { queue->put(done); })});
      }
    }
  }
  EndedFibers(const EndedFibers&) = delete;
  EndedFibers& operator=(const EndedFibers&) = delete;
  ~EndedFibers() {
    for (const auto& [fiber, link] : links_) fiber.unlink(link);
  }

  std::optional<FiberHandle> next() {
    if (missing_ == 0) return std::nullopt;
    auto fiber = ended_->try_get(left_.left());
    if (fiber) --missing_;
    return fiber;
  }

  class Iterator {
   public:
    using value_type = FiberHandle;
    using difference_type = std::ptrdiff_t;
    explicit Iterator(EndedFibers& source) : source_(&source), current_(source.next()) {}
    const FiberHandle& operator*() const { return *current_; }
    Iterator& operator++() {
      current_ = source_->next();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !current_; }

   private:
    EndedFibers* source_;
    std::optional<FiberHandle> current_;
  };
  Iterator begin() { return Iterator(*this); }
  std::default_sentinel_t end() { return {}; }

 private:
  std::shared_ptr<SimpleQueue<FiberHandle>> ended_;
  std::vector<std::pair<FiberHandle, unsigned long>> links_;
  size_t missing_ = 0;
  detail::TimeLeft left_;
};

template <std::ranges::input_range Fibers>
EndedFibers iwait(const Fibers& fibers, Duration timeout = kForever) {
  return EndedFibers(fibers, timeout);
}

struct JoinOptions {
  Duration timeout = kForever;
  bool raise_error = false;                // rethrow the first exception that ended one of them
  size_t count = static_cast<size_t>(-1);  // return when so many have ended
};

// Waits until they have ended; returns those that have.
template <std::ranges::input_range Fibers>
std::vector<FiberHandle> joinall(const Fibers& fibers, JoinOptions options = {}) {
  std::vector<FiberHandle> done;
  EndedFibers ended(fibers, options.timeout);
  while (done.size() < options.count) {
    auto fiber = ended.next();
    if (!fiber) break;
    if (options.raise_error && !fiber->successful()) std::rethrow_exception(fiber->exception());
    done.push_back(std::move(*fiber));
  }
  return done;
}
template <std::ranges::input_range Fibers>
std::vector<FiberHandle> joinall(const Fibers& fibers, Duration timeout) {
  JoinOptions options;
  options.timeout = timeout;
  return joinall(fibers, options);
}

// Kills them, all at once, and waits until they have ended: false if the timeout passed first.
template <std::ranges::input_range Fibers>
bool killall(const Fibers& fibers, const std::exception_ptr& exception = nullptr,
             Duration timeout = kForever) {
  const detail::TimeLeft left(timeout);
  for (const FiberHandle& fiber : fibers) fiber.kill_soon(exception);
  bool all = true;
  for (const FiberHandle& fiber : fibers) all = fiber.join(left.left()) && all;
  return all;
}

// Something that wait() can wait for: a fiber, an Event, an AsyncResult, a Semaphore (a free unit,
// which is not taken). Refers to it.
class Waitable {
 public:
  Waitable(const FiberHandle& fiber)  // NOLINT(google-explicit-constructor)
      : item_{detail::kSelectTask, fiber.task()} {}
  Waitable(Event& event)  // NOLINT(google-explicit-constructor)
      : item_{detail::kSelectEvent, &event} {}
  template <typename T>
  Waitable(AsyncResult<T>& result)  // NOLINT(google-explicit-constructor)
      : Waitable(result.event()) {}
  Waitable(Semaphore& semaphore)  // NOLINT(google-explicit-constructor)
      : item_{detail::kSelectAcquire, &semaphore}, semaphore_(&semaphore) {}

 private:
  friend std::vector<size_t> wait(std::vector<Waitable> objects, Duration timeout, size_t count);
  detail::SelectItem item_;
  Semaphore* semaphore_ = nullptr;
};

// Waits until all of them, or the first `count`, are ready; the indices of those that are, in the
// order in which they became so. Fewer when the timeout has passed.
std::vector<size_t> wait(std::vector<Waitable> objects, Duration timeout = kForever,
                         size_t count = static_cast<size_t>(-1));

}  // namespace tendril
