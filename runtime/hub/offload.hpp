// Offload: a native system call that may block without bound runs on an OS thread of an elastic
// pool, while its fiber is parked.
//
// The threads are bare (bare_thread.hpp) and take no signal but the interrupt signal: they are
// invisible to the program's libc and need no guest treatment. In an interposed process they take
// SIGSYS, too: a call that a seccomp filter of the program's does not let through raises it.
#pragma once

#include <signal.h>

#include <cstddef>

#include "runtime/hub/park.hpp"

namespace tendril::rt {

// Runs the call natively on a pool thread and parks the calling fiber until it is done. An
// interrupt of the fiber interrupts the call: the result is then -EINTR, unless the call was
// completed first, in which case its result is returned and the interrupt stays pending. While no
// thread can be made, it waits for one.
long offload(long number, long a, long b, long c, long d, long e, long f) noexcept;

// In a signal handler on an OS thread that is no worker: the fiber whose call has raised the signal
// is to have it, see ProcessHooks. False if there is none.
bool leave_signal_to_caller(const siginfo_t& info) noexcept;

size_t offload_threads() noexcept;

// True if a thread has ended in the middle of a call.
bool offload_has_lost_thread() noexcept;

// The process's credentials have changed: no thread that was made before takes another job.
void offload_retire_threads() noexcept;

// The process can have no second thread (its children are to be in another PID namespace, say):
// calls are made on the caller's own OS thread. Precondition: it has one fiber.
void offload_here(bool here) noexcept;

SpinLock& offload_lock() noexcept;  // held around fork

// In the child of fork: the pool's threads do not exist here.
void offload_reset_after_fork() noexcept;

}  // namespace tendril::rt
