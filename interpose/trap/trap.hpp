// The trap front end: Syscall User Dispatch turns every `syscall` instruction of program code into a
// SIGSYS, whose handler calls the dispatcher.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include "runtime/hub/worker.hpp"

namespace tendril::trap {

// True if the kernel has Syscall User Dispatch (5.11).
bool is_available() noexcept;

// Process-wide: installs the SIGSYS and kick handlers.
void install() noexcept;

// This OS thread, a worker in runtime code: alternate stack for faults, dispatch on, a time slice for
// its green threads. False on failure.
bool arm(rt::Worker* worker, int slice_microseconds) noexcept;

// Completes a frame by which a thread returns to the program: the kernel takes alternate stack and
// mask back from it, and they must be those of the worker that the thread is on now.
void prepare_return(ucontext_t* frame) noexcept;

}  // namespace tendril::trap
