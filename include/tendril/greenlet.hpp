// Coroutines that switch to each other by hand. (greenlet: greenlet.greenlet)
//
//   Greenlet pong([](Value v) { … });
//   Value answer = pong.switch_to(1);   // runs pong until it switches back, or ends
//
// A greenlet begins when it is first switched to; what is passed is its function's argument. Later
// switches give their value as the result of the switch_to in which it waits. When its function
// returns, the value goes to its parent; an exception that leaves it is thrown in the parent;
// GreenletExit ends it like a return. Switches to one that has ended reach its nearest ancestor
// that has not. A greenlet may also wait for anything else; others run meanwhile.
//
// All greenlets of one family live on one OS thread; switching to one of another thread throws
// GreenletError. When the last reference to one that waits in a switch goes away, GreenletExit is
// thrown in it, so that its destructors run.
#pragma once

#include <any>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

#include "tendril/errors.hpp"

namespace tendril {

// What switches pass: anything, or nothing.
using Value = std::any;

namespace detail {

struct GreenletCore;

struct GreenletFunction {
  virtual ~GreenletFunction() = default;
  virtual Value call(Value argument) = 0;
};

void hold_greenlet(GreenletCore* core) noexcept;
void release_greenlet(GreenletCore* core) noexcept;

}  // namespace detail

class Greenlet {
 public:
  Greenlet() noexcept = default;  // refers to none

  // The function is called with a Value or with nothing; it returns a Value, anything that becomes
  // one, or nothing. The parent is the running greenlet unless another one is given.
  template <typename F>
  requires(std::is_invocable_v<F&, Value> || std::is_invocable_v<F&>) explicit Greenlet(F function)
      : Greenlet(wrap(std::move(function)), Greenlet()) {}
  template <typename F>
  requires(std::is_invocable_v<F&, Value> || std::is_invocable_v<F&>)
      Greenlet(F function, const Greenlet& parent)
      : Greenlet(wrap(std::move(function)), parent) {}

  Greenlet(const Greenlet& other) noexcept : core_(other.core_) {
    if (core_ != nullptr) detail::hold_greenlet(core_);
  }
  Greenlet(Greenlet&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
  Greenlet& operator=(Greenlet other) noexcept {
    std::swap(core_, other.core_);
    return *this;
  }
  ~Greenlet() {
    if (core_ != nullptr) detail::release_greenlet(core_);
  }

  // Runs it until somebody switches back here; what that passes. Throws what is thrown in here.
  Value switch_to(Value value = {}) const;
  // The same, throwing the exception in it. One that has not begun ends at once by it.
  Value throw_in(std::exception_ptr exception = nullptr) const;

  bool started() const noexcept;
  bool dead() const noexcept;
  // Has begun and not ended. (greenlet: bool(g))
  explicit operator bool() const noexcept { return core_ != nullptr && started() && !dead(); }

  // Of a temporary: lets go of it first, so that Greenlet::current().parent().switch_to() leaves no
  // reference to the running greenlet on its own stack.
  Greenlet parent() const& noexcept;
  Greenlet parent() && noexcept { return std::exchange(*this, Greenlet()).parent_of_this(); }
  // Throws GreenletError if it would become its own ancestor or they are of two OS threads.
  void set_parent(const Greenlet& parent) const;

  // The running one. What an OS thread began with, and each spawned fiber, is one too.
  static Greenlet current();

  friend bool operator==(const Greenlet& a, const Greenlet& b) noexcept {
    return a.core_ == b.core_;
  }

  // Takes over one reference. For the library.
  static Greenlet adopt(detail::GreenletCore* core) noexcept { return Greenlet(core); }

 private:
  template <typename F>
  static std::unique_ptr<detail::GreenletFunction> wrap(F function) {
    struct Wrapped final : detail::GreenletFunction {
      explicit Wrapped(F&& f) : function(std::move(f)) {}
      Value call(Value argument) override {
        const auto run = [&]() -> decltype(auto) {
          if constexpr (std::is_invocable_v<F&, Value>) {
            return function(std::move(argument));
          } else {
            return function();
          }
        };
        if constexpr (std::is_void_v<decltype(run())>) {
          run();
          return {};
        } else {
          return Value(run());
        }
      }
      F function;
    };
    return std::make_unique<Wrapped>(std::move(function));
  }
  Greenlet(std::unique_ptr<detail::GreenletFunction> function, const Greenlet& parent);
  explicit Greenlet(detail::GreenletCore* core) noexcept : core_(core) {}
  Greenlet parent_of_this() const noexcept { return parent(); }

  detail::GreenletCore* core_ = nullptr;
};

// Called on every switch and throw_in of the calling OS thread, in the target. (greenlet: settrace)
enum class GreenletEvent { kSwitch, kThrow };
using GreenletTrace = void (*)(GreenletEvent event, const Greenlet& origin, const Greenlet& target);
// Null: none. Returns the one before.
GreenletTrace set_greenlet_trace(GreenletTrace trace);

}  // namespace tendril
