// Signal frames that are moved from the worker's alternate stack to the program's.
//
// Where the frame itself might not fit on the program's stack (a fault may be its overflow; a kick,
// which natively does not exist, must not be it) the handler runs on the alternate stack of the
// worker. No fiber may be switched there. So the kernel's frame is copied to the stack on which the
// rest is to run, and the return from the signal goes on there:
//
//   thread's stack (or its alternate stack)
//   ...  | interrupted code's data | 128 bytes red zone | MovedFrame, FP state | entry ...
//                                                       <- grows
#pragma once

#include <signal.h>
#include <ucontext.h>

#include <cstdint>

#include "runtime/memory/stack_pool.hpp"

namespace tendril::trap {

// What rt_sigreturn expects at the stack pointer: the kernel's ucontext (whose mask has 8 bytes),
// with fpregs pointing at a copy of the FP state.
struct MovedFrame {
  ucontext_t context;
  siginfo_t info;
  rt::Stack stack;  // which it lies on, if that is the runtime's (interruption.hpp)
};

// Copies it below `sp`. Null if it would lie below `lowest`, or where nothing can be written: in a
// guard.
MovedFrame* move_frame(const ucontext_t* frame, const siginfo_t& info, uintptr_t sp,
                       uintptr_t lowest) noexcept;

// The handler of `frame` returns to entry(moved, argument) on the stack of `moved`; the mask and
// the other registers are those that it would have returned to. `entry` leaves by
// tendril_sigreturn.
void return_into(ucontext_t* frame, MovedFrame* moved, void (*entry)(MovedFrame*, long),
                 long argument) noexcept;

}  // namespace tendril::trap

extern "C" [[noreturn]] void tendril_sigreturn(void* frame);
