// nanosleep(2), clock_nanosleep(2), sched_yield(2)
#include <time.h>

#include <cerrno>

#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/restart.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/thread_clock.hpp"
#include "interpose/kernel/time_arguments.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "runtime/hub/cpu_time.hpp"
#include "runtime/hub/offload.hpp"
#include "runtime/hub/park.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

// POSIX: never early, EINTR whenever a handler ran, then with the time that is left.
long sleep_for(rt::Deadline deadline, timespec* remaining, bool relative) noexcept {
  while (rt::monotonic_now() < deadline) {
    if (current_thread()->trying) return -kWouldWait;
    if (rt::sleep_until(deadline) == rt::WakeReason::kTimeout) continue;
    if (!signals().has_accepted(current_thread())) continue;
    if (!relative) return -kRestartNoHandler;
    if (remaining != nullptr && copy_out(remaining, rt::to_timespec(time_left(deadline))) != 0) {
      return -EFAULT;
    }
    return -EINTR;
  }
  return 0;
}

// False if there is no such thread (any more).
bool read_thread_clock(int tid, rt::Nanoseconds* time) noexcept {
  rt::SpinGuard guard(threads().lock);  // it stays alive meanwhile
  GreenThread* thread = threads().find(tid);
  if (thread == nullptr) return false;
  *time = rt::cpu_time_of(*thread->fiber);
  return true;
}

// Nobody tells when another thread has computed for long enough, but it is not before so much time
// has passed: then it is looked at again. That of a thread that has ended stands still for ever.
long sleep_on_thread_clock(int tid, int flags, const timespec* request,
                           timespec* remaining) noexcept {
  constexpr rt::Nanoseconds kShortest = 500'000;  // between two looks
  timespec wanted;
  if (copy_in(&wanted, request) != 0) return -EFAULT;
  rt::Nanoseconds now;
  const bool own = tid == current_thread()->tid;
  if (!is_valid(wanted) || own || !read_thread_clock(tid, &now)) return -EINVAL;
  const bool relative = (flags & TIMER_ABSTIME) == 0;
  rt::Nanoseconds end = rt::to_nanoseconds(wanted);
  if (relative && __builtin_add_overflow(end, now, &end)) end = rt::kForever;
  bool lives = true;
  while (now < end) {
    if (current_thread()->trying) return -kWouldWait;
    const rt::Nanoseconds left = end - now < kShortest ? kShortest : end - now;
    const rt::WakeReason why = rt::sleep_until(lives ? rt::deadline_after(left) : rt::kForever);
    lives = read_thread_clock(tid, &now);
    if (now >= end || why == rt::WakeReason::kTimeout) continue;
    if (!signals().has_accepted(current_thread())) continue;
    if (!relative) return -kRestartNoHandler;
    if (remaining != nullptr && copy_out(remaining, rt::to_timespec(end - now)) != 0) {
      return -EFAULT;
    }
    return -EINTR;
  }
  return 0;
}

}  // namespace

long sys_nanosleep(const timespec* request, timespec* remaining) {
  timespec wanted;
  if (copy_in(&wanted, request) != 0) return -EFAULT;
  if (!is_valid(wanted)) return -EINVAL;
  return sleep_for(rt::deadline_after(rt::to_nanoseconds(wanted)), remaining, true);
}

long sys_clock_nanosleep(int clock, int flags, const timespec* request, timespec* remaining) {
  const bool ours = clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC ||
                    clock == CLOCK_BOOTTIME || clock == CLOCK_TAI;
  if (const ThreadClock decoded(clock); decoded.is_thread_clock && decoded.tid != 0) {
    return sleep_on_thread_clock(decoded.tid, flags, request, remaining);
  }
  if (!ours) {  // CPU time clocks: the kernel knows when
    const long result =
        rt::offload(SYS_clock_nanosleep, clock, flags, reinterpret_cast<long>(request),
                    reinterpret_cast<long>(remaining), 0, 0);
    return result;
  }
  timespec wanted;
  if (copy_in(&wanted, request) != 0) return -EFAULT;
  if (!is_valid(wanted)) return -EINVAL;
  const bool absolute = (flags & TIMER_ABSTIME) != 0;
  const rt::Deadline deadline = absolute ? deadline_of_absolute(wanted, clock)
                                         : rt::deadline_after(rt::to_nanoseconds(wanted));
  return sleep_for(deadline, remaining, !absolute);
}

long sys_sched_yield() {
  const rt::Worker* worker = rt::current_worker_unchecked();
  const uint64_t before = worker->stats.switches;
  rt::yield();
  // If nobody else was ready here, it may wait for somebody who has no processor: a thread on
  // another worker, or another process.
  if (rt::current_worker_unchecked() == worker && worker->stats.switches == before) {
    rt::raw_syscall(SYS_sched_yield);
  }
  return 0;
}

}  // namespace tendril::kernel
