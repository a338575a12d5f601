// nanosleep(2), clock_nanosleep(2), sched_yield(2)
#include <time.h>

#include <cerrno>

#include "interpose/kernel/restart.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/time_arguments.hpp"
#include "interpose/kernel/user_memory.hpp"
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
  rt::yield();
  return 0;
}

}  // namespace tendril::kernel
