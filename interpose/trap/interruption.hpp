// What becomes of a thread that a signal has struck in the midst of program code: others go on in
// its place, or handlers of the program's run.
//
// The runtime's part of it is done on a stack of the runtime's own (kernel/kick_stacks.hpp); for a
// handler the frame is moved to where the Linux kernel would have put it.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include "runtime/hub/worker.hpp"

namespace tendril::trap {

struct Interruption {
  rt::Preemption preemption = rt::Preemption::kNone;
  bool takes_handler = true;  // the frame is settled: a handler may run on top of it
  bool gives_way = false;     // afterwards to whom the handlers have woken
};

// For a handler on the worker's alternate stack, in runtime mode: the return from `frame` goes on
// with it, with all signals blocked and still in runtime mode. False when out of memory.
bool interrupt_program(ucontext_t* frame, const siginfo_t& info, Interruption what) noexcept;

}  // namespace tendril::trap
