// The signal mask of ppoll, pselect and epoll_pwait: in force while the call waits; put back when
// it ends, after the handlers it let through have run.
#pragma once

#include <cerrno>

#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/user_memory.hpp"

namespace tendril::kernel {

class TemporaryMask {
 public:
  TemporaryMask() = default;
  TemporaryMask(const TemporaryMask&) = delete;
  TemporaryMask& operator=(const TemporaryMask&) = delete;

  // Null is allowed: no change. 0, -EINVAL or -EFAULT.
  long set(const uint64_t* mask, size_t mask_size) noexcept {
    if (mask == nullptr) return 0;
    if (mask_size != sizeof(uint64_t)) return -EINVAL;
    uint64_t wanted;
    if (copy_in(&wanted, mask) != 0) return -EFAULT;
    GreenThread* thread = current_thread();
    saved_ = thread->blocked;
    active_ = true;
    signals().set_blocked(thread, wanted);
    return 0;
  }

  // `interrupted`: the call ends because of a signal, whose handler must run first: delivery puts
  // the mask back.
  void restore(bool interrupted) noexcept {
    if (!active_) return;
    active_ = false;
    GreenThread* thread = current_thread();
    if (interrupted) {
      thread->saved_blocked = saved_;
      thread->restore_blocked = true;
    } else {
      signals().set_blocked(thread, saved_);
    }
  }

 private:
  bool active_ = false;
  uint64_t saved_ = 0;
};

}  // namespace tendril::kernel
