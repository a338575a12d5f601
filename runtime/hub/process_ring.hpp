// A ring of the Linux kernel's that a process has for one purpose, opened when it is first needed
// and rings are allowed. Its users take turns by the lock.
#pragma once

#include <cstdint>

#include "runtime/hub/io_uring.hpp"
#include "runtime/platform/spin_lock.hpp"

namespace tendril::rt {

class ProcessRing {
 public:
  SpinLock lock;  // guards all below; held around fork
  IoUring ring;

  // Until this is called there is none.
  void allow() noexcept {
    SpinGuard guard(lock);
    if (state_ == State::kForbidden) state_ = State::kAllowed;
  }

  // The rest needs the lock.

  // Nothing new is to be handed over. Where it is open it stays so for what is still under way.
  void forbid() noexcept { state_ = State::kForbidden; }
  bool is_usable() const noexcept { return state_ == State::kOpen; }

  // Opens it if that was not tried yet: `open(ring)` does, and looks whether it will do. What will
  // not is closed. False: not usable.
  template <typename Open>
  bool make_usable(Open&& open) noexcept {
    if (state_ == State::kAllowed) [[unlikely]] {
      state_ = open(ring) ? State::kOpen : State::kUnavailable;
      if (state_ != State::kOpen && ring.is_open()) ring.close();
    }
    return is_usable();
  }

  // The entry that is filled in. False: the kernel did not take it.
  bool hand_over() noexcept;

  // In the child of fork, where it is the parent's.
  void reset_after_fork() noexcept;

 private:
  enum class State : uint8_t { kForbidden, kAllowed, kOpen, kUnavailable };
  State state_ = State::kForbidden;
};

}  // namespace tendril::rt
