// Robust mutexes of a thread that ends: set_robust_list(2).
#pragma once

#include "interpose/kernel/green_thread.hpp"

namespace tendril::kernel {

// Marks the mutexes that the thread still owns with FUTEX_OWNER_DIED and wakes a waiter of each, as
// the kernel does when a thread exits.
void release_robust_list(GreenThread* thread) noexcept;

// The process is about to end. Robust mutexes that its threads own and other processes see must be
// marked, but not before the last of its threads has stopped; and the Linux kernel does not know
// green tids. A successor, a process on the same memory, does it then. None is made if no such
// mutex is owned. (SIGKILL leaves no time for this: docs/limits.md.)
void leave_robust_mutexes_to_successor() noexcept;

}  // namespace tendril::kernel
