// What poll and select have in common: which descriptors of an array are ready.
//
// The kernel itself says so, by a poll that does not wait; we only decide when to ask again: after
// an edge on one of the descriptors. Where there is but one, the edge says it all.
#pragma once

#include <poll.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdint>
#include <ctime>

#include "interpose/kernel/restart.hpp"
#include "interpose/kernel/temporary_mask.hpp"
#include "interpose/kernel/time_arguments.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "runtime/platform/clock.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {

// Poll of the kernel's that does not wait.
inline long poll_now(pollfd* fds, unsigned long count) noexcept {
  constexpr timespec kNow{0, 0};
  return rt::raw_syscall_uninterrupted(SYS_ppoll, fds, count, &kNow, nullptr, 0);
}

// How the descriptors were found at the beginning of the call, or at its try by a hook.
struct FirstLook {
  long ready;
  uint32_t edges;  // before it
  bool by_try;
};
FirstLook first_look(pollfd* fds, unsigned long count) noexcept;

// `fds` is the program's own array for poll (the kernel checks it), ours for select. Returns the
// count of ready descriptors, 0 at the deadline, or -errno; -EINTR when interrupted.
long poll_after(const FirstLook& first, pollfd* fds, unsigned long count,
                rt::Deadline deadline) noexcept;
long poll_until(pollfd* fds, unsigned long count, rt::Deadline deadline) noexcept;

// The end of ppoll and pselect: what is left of the time, and the mask, which a handler may run in.
inline long finish_poll(long result, TemporaryMask& mask, timespec* timeout,
                        rt::Deadline deadline) noexcept {
  if (result == -kWouldWait) {
    mask.restore(false);
    return result;
  }
  if (timeout != nullptr) copy_out(timeout, rt::to_timespec(time_left(deadline)));
  mask.restore(result == -EINTR);
  return result == -EINTR ? -kRestartNoHandler : result;
}

}  // namespace tendril::kernel
