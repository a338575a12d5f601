// Delivery of pending signals: runs the program's handlers on the green thread's own stack (or its
// alternate stack), nested in the signal frame by which the thread came into the runtime.
#pragma once

#include <ucontext.h>

#include "interpose/kernel/green_thread.hpp"

namespace tendril::trap {

using kernel::kNoCall;

// Runtime code, on a green thread, with nothing held: a handler may siglongjmp or unwind through
// here, and may block.
//
// `frame` is the kernel's signal frame of the trap or of the asynchronous signal; its registers are
// where the program goes on. `result` and `number` describe the system call that ends (kNoCall:
// none): a restart code becomes EINTR or a restart, as signal(7) tables it. On return the frame's
// RAX and RIP are final.
//
// Not noexcept, nor is anything between it and the program: thread cancellation unwinds through.
void deliver_signals(ucontext_t* frame, long result, long number);

// The same when the call came through a symbol hook and there is no frame: makes one by a trap.
void deliver_signals_by_trap();

// System call number of that trap; far above the kernel's.
inline constexpr long kDeliverNumber = 0x54454e44;

}  // namespace tendril::trap
