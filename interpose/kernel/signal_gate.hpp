// The way of the kernel's signals into the process: what the user-level kernel asks of the trap
// front end, which implements it (trap/signal_entry.cpp, trap/fault.cpp, trap/trap.cpp).
#pragma once

#include <signal.h>
#include <ucontext.h>

namespace tendril::kernel {

struct KernelAction;

// Points the kernel at our handler for an asynchronous signal, for which the program has one of its
// own or not; `flags` are added.
void install_signal_handler(int signal, bool has_handler, unsigned long flags) noexcept;

// For a signal of the CPU: our handler if the program has one or if the runtime needs it (its copy
// routines fault on purpose), else the kernel's default.
void install_fault_handler(int signal, const KernelAction& wanted) noexcept;

// Completes a frame by which a thread returns to the program: the kernel takes alternate stack and
// mask back from it, and they must be those of the worker that the thread is on now. Signals stay
// blocked until it returns.
void prepare_return(ucontext_t* frame) noexcept;

// The mask alone, for a frame that returns to the runtime on the worker that it interrupted.
// Precondition: signals are blocked, or a kick that comes before the return would tell of a new
// mask in vain: the frame would bring the old one back.
void set_mask_of_return(ucontext_t* frame) noexcept;

}  // namespace tendril::kernel
