// The trap front end: Syscall User Dispatch turns every `syscall` instruction of program code into
// a SIGSYS, whose handler calls the dispatcher.
#pragma once

#include "runtime/hub/worker.hpp"

namespace tendril::kernel {
struct WorkerState;
}

namespace tendril::trap {

// True if the kernel has Syscall User Dispatch (5.11).
bool is_available() noexcept;

// Process-wide, before any OS thread is armed: installs the SIGSYS and kick handlers.
void install(int slice_microseconds) noexcept;

// What this OS thread needs to be armed: memory, and a timer for the time slices of its green
// threads (0: none). Null, and nothing made, when there is none to be had.
kernel::WorkerState* prepare(int slice_microseconds) noexcept;
void discard(kernel::WorkerState* state) noexcept;

// This OS thread, a worker in runtime code: alternate stack for faults, dispatch on, time slices
// begin. False, and nothing changed, where the Linux kernel denies it.
bool arm(rt::Worker* worker, kernel::WorkerState* state, int slice_microseconds) noexcept;

// The opposite, on this OS thread's hub, before it ends. All signals are blocked.
void disarm(rt::Worker* worker) noexcept;

}  // namespace tendril::trap
