// What is special about terminals.
//
// Job control: who is not in the foreground gets SIGTTIN or SIGTTOU, or an error where
// the thread blocks them. The Linux kernel looks at the mask of the OS thread that makes the call:
// a worker blocks nothing, and a pool thread everything. It sends the signal to the process, and
// any OS thread that is open to it may take it.
#pragma once

#include "runtime/platform/spin_lock.hpp"

namespace tendril::kernel {

// The ioctl on this OS thread, as a thread with the caller's mask would make it.
long terminal_ioctl(int fd, unsigned long request, long argument) noexcept;

// Before a transfer from or to a character device, or a change of a terminal, that may be made on
// another OS thread: 0, or the result of the call (-EIO, -kRestartSys when a signal has come).
long may_transfer(int fd, bool reading) noexcept;
long may_change_terminal(int fd) noexcept;

rt::SpinLock& job_control_lock() noexcept;  // held around fork

// A terminal that is set so that a read gives what there is, be it nothing, at once or after a time
// of its own (VMIN 0): no readiness tells when.
bool reads_may_give_nothing(int fd) noexcept;

// The end of a pseudo terminal that programs run on. When the other end is closed, a read that has
// been waiting gets EIO, and those that come later the end (0).
bool is_pseudo_terminal(int fd) noexcept;

}  // namespace tendril::kernel
