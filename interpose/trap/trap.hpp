// The trap front end: Syscall User Dispatch turns every `syscall` instruction of program code into
// a SIGSYS, whose handler calls the dispatcher.
#pragma once

#include "runtime/hub/worker.hpp"

namespace tendril::trap {

// True if the kernel has Syscall User Dispatch (5.11).
bool is_available() noexcept;

// Process-wide: installs the SIGSYS and kick handlers.
void install() noexcept;

// This OS thread, a worker in runtime code: alternate stack for faults, dispatch on, a time slice
// for its green threads (0: none). False on failure.
bool arm(rt::Worker* worker, int slice_microseconds) noexcept;

// The opposite, on this OS thread's hub, before it ends. All signals are blocked.
void disarm(rt::Worker* worker) noexcept;

}  // namespace tendril::trap
