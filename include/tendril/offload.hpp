// Calls that block where no fiber could be switched: reads of files, libraries that are not
// cooperative. (gevent: hub.threadpool.apply)
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "tendril/event.hpp"
#include "tendril/time.hpp"

namespace tendril {

namespace detail {
struct OffloadedCall {
  virtual ~OffloadedCall() = default;
  virtual void run() noexcept = 0;
  Event done;
};
// Waits until it has run; throws TimeoutError, or what was thrown into the fiber meanwhile.
void run_offloaded(const std::shared_ptr<OffloadedCall>& call, Duration timeout);
}  // namespace detail

// Runs function() on a thread of libuv's pool (four of them, or UV_THREADPOOL_SIZE) while other
// fibers run here; returns its value or rethrows. In an interposed process, where blocking calls
// are cooperative, it runs in a fiber instead. Meant for bounded work: what waits without bound
// keeps a thread of the pool from everyone.
//
// A kill or a timeout ends the wait, not the call, which is left to itself: so let the function own
// what it uses (capture by value). It must not use the fiber API.
template <typename F>
auto offload(F&& function, Duration timeout = kForever) -> std::invoke_result_t<std::decay_t<F>&> {
  using R = std::invoke_result_t<std::decay_t<F>&>;
  static_assert(!std::is_reference_v<R>, "return a value");
  struct Call final : detail::OffloadedCall {
    explicit Call(F&& f) : function(std::forward<F>(f)) {}
    void run() noexcept override {
      try {
        if constexpr (std::is_void_v<R>) {
          function();
        } else {
          value.emplace(function());
        }
      } catch (...) {
        error = std::current_exception();
      }
    }
    std::decay_t<F> function;
    std::optional<std::conditional_t<std::is_void_v<R>, std::monostate, R>> value;
    std::exception_ptr error;
  };
  auto call = std::make_shared<Call>(std::forward<F>(function));
  detail::run_offloaded(call, timeout);
  if (call->error != nullptr) std::rethrow_exception(call->error);
  if constexpr (!std::is_void_v<R>) return std::move(*call->value);
}

}  // namespace tendril
