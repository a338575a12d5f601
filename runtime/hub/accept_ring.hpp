// accept4(2) that does not wait even if the socket would: the call itself has no flag for that, and
// the socket's own is seen by whoever else has the open file. A ring's accept has one since Linux
// 6.10. It is made at once, by the OS thread that hands it over, as the call would be.
#pragma once

#include "runtime/platform/spin_lock.hpp"

namespace tendril::rt {

// As accept4(2), but -EAGAIN where that would wait; `flags` are valid ones. -ENOSYS: there is no
// such ring (older kernels, containers and filters that forbid it), or not for this OS thread.
long accept_at_once(int fd, void* address, void* address_size, int flags) noexcept;

// A ring is made when it is first needed. Until this is called there is none.
void allow_accept_ring() noexcept;

// Nothing uses the ring from now on: a filter of system calls may be about to forbid it.
void end_accept_ring() noexcept;

SpinLock& accept_ring_lock() noexcept;  // held around fork

// In the child of fork, where the ring is the parent's.
void accept_ring_reset_after_fork() noexcept;

}  // namespace tendril::rt
