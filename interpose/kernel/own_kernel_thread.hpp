// A kernel thread of its own for a green thread, by the wish of another one: what the Linux kernel
// knows of a kernel thread, its CPU time for one, is then that of the green thread.
#pragma once

namespace tendril::kernel {

struct GreenThread;

// The kernel thread that runs the green thread of that tid and no other, from now on. Waits until
// it does: the thread moves by itself, where it is next interruptible. -EINVAL: there is no such
// thread; -EAGAIN: there can be no more; -kRestartAlways: a signal has come for the caller.
long own_kernel_thread_of(int tid) noexcept;

// By the running thread: does what was wished. May move to another worker: no lock may be held.
void carry_out_wish(GreenThread* thread) noexcept;

// Who wishes it something need not wait any more: it ends, and is found under its tid no more.
void give_up_wish(const GreenThread* thread) noexcept;

}  // namespace tendril::kernel
