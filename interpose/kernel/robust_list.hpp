// Robust mutexes of a thread that ends: set_robust_list(2).
#pragma once

#include "interpose/kernel/green_thread.hpp"

namespace tendril::kernel {

// Marks the mutexes that the thread still owns with FUTEX_OWNER_DIED and wakes a waiter of each, as
// the kernel does when a thread exits.
void release_robust_list(GreenThread* thread) noexcept;

}  // namespace tendril::kernel
