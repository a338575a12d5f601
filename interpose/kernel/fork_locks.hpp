// Every lock of the runtime whose data the child of fork goes on with, taken in order before and
// given back after: the child has one thread, and must find no change that another left half made.
// What the child throws away as a whole (run queues, waiters, readiness) needs none.
#pragma once

namespace tendril::kernel {

// Precondition: runtime mode; the caller must not block signals yet, for another worker may hold a
// lock while it waits for all workers' handlers (call_on_other_workers).
void lock_for_fork() noexcept;

// In the parent. The child resets the locks, see activation.hpp.
void unlock_after_fork() noexcept;

}  // namespace tendril::kernel
