// Waits for futexes that other processes share: the Linux kernel has to know who waits, or another
// process could not end the wait. It is told by a ring (io_uring, Linux 6.7), and no OS thread
// stands still for it; whoever has handed a wait over finds its end in the ring when its OS thread
// has been in the kernel next, and the ring is a member of the workers' epoll set.
//
// Where there is no such ring (older kernels, containers and filters that forbid it), nothing here
// does anything, and such a wait is offloaded.
#pragma once

#include <atomic>
#include <cstdint>

#include "runtime/platform/clock.hpp"
#include "runtime/platform/spin_lock.hpp"

namespace tendril::rt {

// FUTEX_WAIT_BITSET of a word that is not private, of the running fiber: 0 when woken, perhaps for
// no reason; -EAGAIN, -EFAULT, -ETIMEDOUT, -EINTR as futex(2). -ENOSYS: the ring cannot have it.
long wait_for_shared_futex(const uint32_t* word, uint32_t expected, uint32_t bitset,
                           Deadline deadline) noexcept;

// How many are waiting so. A hint.
extern std::atomic<uint32_t> shared_futex_waits;

// Makes those ready whose waits have ended. On a worker.
void collect_shared_futexes_now() noexcept;
inline void collect_shared_futexes() noexcept {
  if (shared_futex_waits.load(std::memory_order_relaxed) != 0) [[unlikely]] {
    collect_shared_futexes_now();
  }
}

// A ring is made when the first such wait begins. Until this is called there is none.
void allow_shared_futex_ring() noexcept;

// No wait uses the ring from now on, and those that do end as if woken: a filter of system calls
// may be about to forbid it.
void end_shared_futex_ring() noexcept;

SpinLock& shared_futex_lock() noexcept;  // held around fork

// In the child of fork, where nobody waits any more and the ring is the parent's.
void shared_futexes_reset_after_fork() noexcept;

}  // namespace tendril::rt
