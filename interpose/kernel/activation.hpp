// Going green, and back: a process is dormant (one thread, everything native) until its first
// thread or fiber; the child of fork is dormant again.
#pragma once

#include <cstdint>

namespace tendril::kernel {

// True while the trap is armed in this process.
bool is_active() noexcept;

// Makes the process green. Called in program code, on the only thread. Idempotent. False when the
// memory, the descriptors or the kernel thread that this takes cannot be had now: nothing has
// changed, and whoever wanted a thread is to be told that there is none (EAGAIN, as natively). When
// the process can never be green it says why on stderr and ends with status 126: it must not run
// native silently.
[[nodiscard]] bool activate() noexcept;

// In the child of fork, on the surviving thread, in runtime code: gives the signals back to the
// kernel and forgets everything that was the parent's. Returns the kernel mask that the thread must
// go on with.
uint64_t deactivate_in_child() noexcept;

// --stats, on stderr.
void report_statistics() noexcept;

}  // namespace tendril::kernel
