// The alternate signal stack of a green thread: what sigaltstack(2) says of it.
#pragma once

#include <signal.h>

#include <cstdint>

namespace tendril::kernel {

inline constexpr stack_t kNoAlternateStack{nullptr, SS_DISABLE, 0};

// Whether a thread whose stack pointer is `sp` runs on it. One that disarms itself is never in use:
// the handler that runs there has taken it away from the thread.
bool is_on_alternate_stack(const stack_t& stack, uintptr_t sp) noexcept;

// Whether an SA_ONSTACK handler that interrupts the thread at `sp` is to run there.
bool takes_handler(const stack_t& stack, uintptr_t sp) noexcept;

// `stack` as sigaltstack tells it.
stack_t shown_alternate_stack(const stack_t& stack, uintptr_t sp) noexcept;

// What sigaltstack does, and the return from a handler with the stack in its frame.
long change_alternate_stack(stack_t* stack, stack_t wanted, uintptr_t sp) noexcept;

// A handler begins: `stack` is what it leaves to handlers that interrupt it.
void disarm_if_asked(stack_t* stack) noexcept;

}  // namespace tendril::kernel
