// How many threads the process may have: RLIMIT_NPROC, where the program itself has set it.
//
// The Linux kernel counts the processes and kernel threads of a user, and green threads are none:
// a limit that was there before need not bound them. One that the program sets is meant to.
#pragma once

namespace tendril::kernel {

// When the shim is loaded: what was there before.
void note_inherited_thread_limit() noexcept;

// When the process becomes green, and after each call that may have changed it.
void note_thread_limit() noexcept;

// False: one more green thread would be above it. It does not hold for root, as in the kernel.
bool thread_limit_allows_another() noexcept;

// The Linux kernel gives the process no second thread any more, while its children are to be in
// other namespaces than itself (unshare(2), CLONE_NEWPID and CLONE_NEWTIME). Set while it has one.
void forbid_threads(bool value) noexcept;
bool threads_are_forbidden() noexcept;

}  // namespace tendril::kernel
