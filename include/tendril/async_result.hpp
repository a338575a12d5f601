// A value that one side sets and others wait for. (gevent: event.AsyncResult)
#pragma once

#include <atomic>
#include <exception>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <variant>

#include "tendril/errors.hpp"
#include "tendril/event.hpp"
#include "tendril/fiber.hpp"

namespace tendril {

// What get() throws after cancel().
class Cancelled : public std::runtime_error {
 public:
  Cancelled() : std::runtime_error("tendril: the result was cancelled") {}
};

// Set once, by a value or by an exception; got as often as wanted, from any fiber or OS thread.
template <typename T = void>
class AsyncResult {
  using Stored = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

 public:
  AsyncResult() = default;
  AsyncResult(const AsyncResult&) = delete;
  AsyncResult& operator=(const AsyncResult&) = delete;

  // False if it was set before: the first one counts.
  template <typename... Args>
  bool set(Args&&... value) {
    if (taken_.exchange(true)) return false;
    value_.emplace(std::forward<Args>(value)...);
    done_.set();
    return true;
  }
  bool set_exception(std::exception_ptr error) {
    if (taken_.exchange(true)) return false;
    error_ = std::move(error);
    done_.set();
    return true;
  }
  bool cancel() { return set_exception(std::make_exception_ptr(Cancelled())); }

  bool ready() const { return done_.is_set(); }
  bool successful() const { return ready() && error_ == nullptr; }
  std::exception_ptr exception() const { return ready() ? error_ : nullptr; }

  // False if the timeout passed before it was set.
  bool wait(Duration timeout = kForever) { return done_.wait(timeout); }

  // The value, which stays; rethrows; throws TimeoutError if the timeout passes first.
  std::add_lvalue_reference_t<T> get(Duration timeout = kForever) {
    if (!done_.wait(timeout)) throw TimeoutError("tendril: the result was not set in time");
    if (error_ != nullptr) std::rethrow_exception(error_);
    if constexpr (!std::is_void_v<T>) return *value_;
  }
  std::add_lvalue_reference_t<T> get_nowait() { return get(Duration::zero()); }

  // Sets it to a copy of how the fiber ends. It must live until then. (gevent: link(result))
  void follow(Fiber<T> fiber) {
    fiber.link([this, fiber](const FiberHandle&) mutable {
      try {
        if constexpr (std::is_void_v<T>) {
          fiber.get();
          set();
        } else {
          set(fiber.get());
        }
      } catch (...) {
        set_exception(std::current_exception());
      }
    });
  }

  Event& event() noexcept { return done_; }  // for wait()

 private:
  std::atomic<bool> taken_{false};
  std::optional<Stored> value_;  // written before done_ is set, read after
  std::exception_ptr error_;
  Event done_;
};

}  // namespace tendril
