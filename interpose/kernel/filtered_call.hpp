// System calls that seccomp filters of the program's do not let through.
//
// A filter that raises SIGSYS for a call of the program's does so for the call that the runtime
// makes in its place, in the middle of the runtime. To the runtime that call has failed; the signal
// is the program's on the way out, with the program's registers.
//
// For SECCOMP_RET_KILL_THREAD the Linux kernel would end the kernel thread, which is a worker: with
// it everything that the runtime keeps for it, and the other green threads that it runs. So filters
// are installed with a SIGSYS in its place that bears a mark: the green thread ends, on the way out
// as well.
#pragma once

#include <linux/filter.h>
#include <signal.h>

#include <cstddef>

#include "interpose/kernel/dispatch.hpp"

namespace tendril::kernel {

// What mark_instead_of_killing may make a filter longer by.
inline constexpr size_t kRoomForMarks = 6;

// Makes of every verdict that kills the thread a marked SIGSYS, in place. The program has room for
// so many instructions more; one that would become too long for the Linux kernel keeps the verdicts
// that it computes.
void mark_instead_of_killing(sock_fprog& program) noexcept;

// In the handler of SIGSYS, when the call was the program's own, or when it was the runtime's.
void raise_filtered_call(const siginfo_t& info) noexcept;
void note_filtered_call(const siginfo_t& info) noexcept;

// On the way out. The result of the call.
long settle_filtered_call(const Call& call) noexcept;
// A hook has no registers to give: the call is made again by a trap.
long leave_filtered_call_to_trap() noexcept;

}  // namespace tendril::kernel
