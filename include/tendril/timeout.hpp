// Deadlines for a stretch of code. (gevent: Timeout, with_timeout)
#pragma once

#include <optional>
#include <type_traits>
#include <utility>

#include "tendril/errors.hpp"
#include "tendril/time.hpp"

namespace tendril {

namespace detail {
struct TimeoutRecord;
}

// While it runs, throws TimeoutError in the fiber that made it, out of whatever the fiber waits for
// when the time has come, or next waits for after. Scopes nest: each fires for itself, and an error
// says whose it is:
//
//   Timeout limit(5s);
//   try { talk(); } catch (const TimeoutError& error) { if (!error.is(limit)) throw; }
//
// Not to be shared between fibers. Code that never waits is not interrupted.
class Timeout {
 public:
  // kForever: never fires. Throws std::bad_alloc.
  explicit Timeout(Duration duration);
  ~Timeout();
  Timeout(const Timeout&) = delete;
  Timeout& operator=(const Timeout&) = delete;

  void start();            // again, from now; in the fiber that made it
  void cancel() noexcept;  // harmless when it does not run

  bool pending() const noexcept;  // runs, and has not fired
  bool expired() const noexcept;  // has fired since the last start

 private:
  friend class TimeoutError;
  Duration duration_;
  detail::TimeoutRecord* record_ = nullptr;
  unsigned long start_ = 0;
  bool expired_ = false;
};

// Calls the function; throws TimeoutError if it takes longer.
template <typename Function>
decltype(auto) with_timeout(Duration duration, Function&& function) {
  Timeout limit(duration);
  return std::forward<Function>(function)();
}

// Same, but returns the fallback instead of throwing. Errors of other scopes pass through.
template <typename Function, typename Fallback>
auto with_timeout(Duration duration, Function&& function, Fallback&& fallback)
    -> std::invoke_result_t<Function> {
  Timeout limit(duration);
  try {
    return std::forward<Function>(function)();
  } catch (const TimeoutError& error) {
    if (!error.is(limit)) throw;
  }
  return std::forward<Fallback>(fallback);
}

// The silent form: false if the time had passed before the function was done.
// (gevent: with Timeout(seconds, False))
template <typename Function>
bool try_within(Duration duration, Function&& function) {
  Timeout limit(duration);
  try {
    std::forward<Function>(function)();
    return true;
  } catch (const TimeoutError& error) {
    if (!error.is(limit)) throw;
    return false;
  }
}

}  // namespace tendril
