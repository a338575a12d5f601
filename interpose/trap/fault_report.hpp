// What is said on stderr when a green thread dies of a fault.
#pragma once

#include <ucontext.h>

#include "interpose/kernel/green_thread.hpp"

namespace tendril::trap {

// If the fault looks like the overflow of the thread's stack (an address at or just below its stack
// pointer), says which thread it was and how to raise the size; else says nothing.
void report_stack_overflow(const kernel::GreenThread* thread, const void* address,
                           const ucontext_t* frame) noexcept;

}  // namespace tendril::trap
