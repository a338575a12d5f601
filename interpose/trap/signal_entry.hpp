// Where the kernel's signals come in.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include "interpose/kernel/signal_state.hpp"

namespace tendril::trap {


// Points the kernel at our handler for an asynchronous signal; `flags` are added.
void install_signal_handler(int signal, unsigned long flags) noexcept;

// For a signal of the CPU: our handler if the program has one or if the runtime needs it (its copy
// routines fault on purpose), else the kernel's default.
void install_fault_handler(int signal, const kernel::KernelAction& wanted) noexcept;

// Posts what has arrived on this worker. Runtime code only.
void post_arrived_signals() noexcept;

}  // namespace tendril::trap
