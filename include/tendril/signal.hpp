// Signals as fibers: what a handler may not do (allocate, lock, wait), a fiber may. (gevent:
// signal_handler)
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <utility>

#include "tendril/fiber.hpp"
#include "tendril/time.hpp"

namespace tendril {

// While it lives, the given signals come here, in place of the actions they had (SIGKILL and
// SIGSTOP cannot; nor can SIGSYS, SIGSEGV and the like, which mean the code that runs). Several
// that come before one asks count once each, as the kernel's own do. Move-only. At most 64 at a
// time.
class SignalSet {
 public:
  // Throws std::system_error.
  SignalSet(std::initializer_list<int> signals);
  SignalSet(SignalSet&& other) noexcept : slot_(std::exchange(other.slot_, -1)) {}
  SignalSet& operator=(SignalSet&& other) noexcept {
    std::swap(slot_, other.slot_);
    return *this;
  }
  ~SignalSet();

  // Waits for the next one. Of one fiber at a time.
  int wait();
  // Empty if the timeout passed first.
  std::optional<int> wait(Duration timeout);

 private:
  int slot_ = -1;
};

// Runs the function in a fiber of its own, named after the signal, for each time it comes, until
// the handle that is returned is destroyed; what runs then runs on.
class SignalHandler {
 public:
  SignalHandler() = default;
  explicit SignalHandler(Fiber<> fiber) : fiber_(std::move(fiber)) {}
  SignalHandler(SignalHandler&& other) noexcept = default;
  SignalHandler& operator=(SignalHandler&& other) noexcept;
  ~SignalHandler() { cancel(); }
  void cancel();

 private:
  Fiber<> fiber_;
};

SignalHandler on_signal(int signal, std::function<void()> function);

}  // namespace tendril
