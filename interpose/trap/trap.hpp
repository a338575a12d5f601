// The trap front end: Syscall User Dispatch turns every `syscall` instruction of program code into a
// SIGSYS, whose handler calls the dispatcher.
#pragma once

#include <signal.h>

#include "runtime/hub/worker.hpp"

namespace tendril::trap {

// True if the kernel has Syscall User Dispatch (5.11).
bool is_available() noexcept;

// Process-wide: installs the SIGSYS and kick handlers.
void install() noexcept;

// This OS thread, a worker in runtime code: alternate stack for faults, dispatch on, a time slice for
// its green threads. False on failure.
bool arm(rt::Worker* worker, int slice_microseconds) noexcept;

// In a child of fork the kernel has switched dispatch off already; this puts back the rest.
void disarm_after_fork() noexcept;

// The alternate stack of this worker, as a returning signal frame must name it.
stack_t alternate_stack_of_worker() noexcept;

}  // namespace tendril::trap
