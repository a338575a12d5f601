#include "interpose/kernel/fork_locks.hpp"

#include <cstddef>
#include <iterator>

#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/job_control.hpp"
#include "interpose/kernel/kick_stacks.hpp"
#include "interpose/kernel/nonblocking_moment.hpp"
#include "interpose/kernel/posix_timers.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "runtime/hub/accept_ring.hpp"
#include "runtime/hub/offload.hpp"
#include "runtime/hub/park.hpp"
#include "runtime/hub/process.hpp"
#include "runtime/hub/shared_futex.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/memory/allocator.hpp"
#include "runtime/memory/stack_pool.hpp"

namespace tendril::kernel {
namespace {

// In the order in which code that needs several takes them; the allocator's comes last.
rt::SpinLock& lock_number(size_t i) noexcept {
  if (i < kNonblockingMoments) return nonblocking_moment_lock(i);
  switch (i - kNonblockingMoments) {
    case 0:
      return job_control_lock();
    case 1:
      return worker_calls_lock();
    case 2:
      return signals().lock();
    case 3:
      return threads().lock;
    case 4:
      return rt::process().lock();
    case 5:
      return posix_timers().lock();
    case 6:
      return rt::offload_lock();
    case 7:
      return rt::shared_futex_lock();
    case 8:
      return rt::accept_ring_lock();
    case 9:
      return workers().growth_lock();
    case 10:
      return rt::Worker::retired_workers_lock();
    case 11:
      return rt::Worker::hub_stacks().lock();
    case 12:
      return rt::default_stacks().lock();
    case 13:
      return kick_stacks().lock();
    case 14:
      return rt::fiber_pool_lock();
    default:
      return rt::runtime_allocator_lock();
  }
}
constexpr size_t kLocks = kNonblockingMoments + 16;

}  // namespace

void lock_for_fork() noexcept {
  for (size_t i = 0; i < kLocks; ++i) lock_number(i).lock();
}

void unlock_after_fork() noexcept {
  for (size_t i = kLocks; i-- > 0;) lock_number(i).unlock();
}

}  // namespace tendril::kernel
