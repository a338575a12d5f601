// What the patch front end wants to know of the trap's business. Null while nothing is patched.
#pragma once

#include <sys/ucontext.h>

#include "interpose/kernel/dispatch.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/restart.hpp"
#include "interpose/trap/delivery.hpp"

namespace tendril::trap {

struct Observers {
  // A signal struck program code and a handler is to run on top of it: makes the frame's position
  // one that unwinders know. False if it is in the middle of a move of instructions; delivery then
  // waits for the system call that comes next.
  bool (*settle)(ucontext_t* frame) noexcept = nullptr;

  // A signal struck a call that program code made at a patched site past the runtime, just when the
  // kernel was done with it. True: the frame is where the program goes on.
  bool (*leave_passed_call)(ucontext_t* frame) noexcept = nullptr;

  // The same, and the signal has ended the call (-EINTR).
  // True: *number is what it was, and the frame is at the site's `syscall` again.
  bool (*leave_interrupted_call)(ucontext_t* frame, long* number) noexcept = nullptr;

  // A trapped mmap, mprotect or munmap has been done.
  void (*memory_changed)(const kernel::Call& call, long result) noexcept = nullptr;
};

inline Observers observers;

inline bool settle(ucontext_t* frame) noexcept {
  return observers.settle == nullptr || observers.settle(frame);
}

inline bool leave_passed_call(ucontext_t* frame) noexcept {
  return observers.leave_passed_call != nullptr && observers.leave_passed_call(frame);
}

// In the handler of a signal that has ended such a call, which may be none of the program's: the
// thread goes on by the trap in which signals are delivered, where the call ends or is made again.
inline bool defer_interrupted_call(ucontext_t* frame) noexcept {
  long number = 0;
  if (observers.leave_interrupted_call == nullptr ||
      !observers.leave_interrupted_call(frame, &number)) {
    return false;
  }
  kernel::GreenThread* thread = kernel::current_thread();
  thread->deferred_number = number;
  thread->deferred_result = -kernel::kRestartSys;
  thread->hold_delivery = true;
  frame->uc_mcontext.gregs[REG_RAX] = kDeliverNumber;
  return true;
}

}  // namespace tendril::trap
