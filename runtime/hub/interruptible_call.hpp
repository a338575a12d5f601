// A system call that another OS thread can end, by a flag and a signal, without the race of a
// signal that comes just before the call: the handler moves a thread that is about to enter the
// call past it.
#pragma once

#include <ucontext.h>

#include <cstdint>

namespace tendril::rt {

// -EINTR at once when *interrupted is set, or when it is set and the thread signalled during the
// call. An -EINTR without the flag is another signal's.
long interruptible_call(const volatile int* interrupted, long number,
                        const long (&arguments)[6]) noexcept;

// The signal by which calls are interrupted; its handler must call leave_interruptible_call. Set
// once, by whoever installs that handler. 0 until then.
void set_interrupt_signal(int signal) noexcept;

// Interrupts the call that an OS thread of this process is in or about to enter. Set its flag
// first. Without an interrupt signal, does nothing.
void interrupt_call(int os_tid) noexcept;
bool calls_are_interruptible() noexcept;
// Its bit in a kernel signal mask.
uint64_t interrupt_signal_bit() noexcept;

// In the handler of any signal that is to end the call.
void leave_interruptible_call(ucontext_t* frame) noexcept;

}  // namespace tendril::rt
