// The verdict on a process that cannot go on: every green thread waits on a futex without a
// deadline, and there is nobody left to wake one.
//
// Nobody: no OS thread but the runtime's own, no timer, no descriptor that is waited for, no native
// call on its way. A handler of the program's could post a semaphore when a signal comes from
// outside; so where the program has one, only what no handler may end is told: threads that wait
// for each other's locks or ends, and locks of threads that have ended.
#pragma once

namespace tendril::kernel {

// With `exit_then` the process ends with this status after the verdict.
inline constexpr int kDeadlockStatus = 98;

// From now on, when the last worker goes to sleep, a standstill is looked for and told on stderr,
// each once: what each thread waits for and who holds it, the cycle if there is one, the threads'
// stacks.
void watch_for_deadlocks(bool exit_then) noexcept;

}  // namespace tendril::kernel
