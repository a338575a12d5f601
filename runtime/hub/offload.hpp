// Offload: a native system call that may block without bound runs on an OS thread of an elastic
// pool, while its fiber is parked.
//
// The threads are made by a raw clone: they run no libc code, own no thread control block that libc
// knows of, and take no signal but the interrupt signal. So they are invisible to the program's
// libc, survive nothing over fork, and need no guest treatment.
#pragma once

#include <ucontext.h>

#include <cstddef>

#include "runtime/hub/park.hpp"

namespace tendril::rt {

// The signal by which an offloaded call is interrupted; its handler must call
// offload_abort_if_entering. Set once, by whoever installs that handler.
void set_offload_interrupt_signal(int signal) noexcept;

// Runs the call natively on a pool thread and parks the calling fiber until it is done. An
// interrupt of the fiber interrupts the call: the result is then -EINTR, unless the call was
// completed first, in which case its result is returned and the interrupt stays pending.
// -EAGAIN when no thread can be made.
long offload(long number, long a, long b, long c, long d, long e, long f) noexcept;

// In the handler of the interrupt signal: a thread that was about to enter its call does not.
void offload_abort_if_entering(ucontext_t* frame) noexcept;

size_t offload_threads() noexcept;

// The process's credentials have changed: no thread that was made before takes another job.
void offload_retire_threads() noexcept;

// In the child of fork: the pool's threads do not exist here.
void offload_reset_after_fork() noexcept;

}  // namespace tendril::rt
