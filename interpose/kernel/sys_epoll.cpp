// epoll_wait(2), epoll_pwait(2), epoll_pwait2(2)
//
// An epoll set is itself a descriptor that becomes readable when it has events: it is watched while
// somebody waits, and asked without waiting. A loop that works on what it was told has more coming
// in all the time, which is no reason to wake a worker that sleeps.
#include <sys/epoll.h>

#include <cerrno>
#include <utility>

#include "interpose/kernel/blocking_io.hpp"
#include "interpose/kernel/signal_descriptors.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/temporary_mask.hpp"
#include "interpose/kernel/time_arguments.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "runtime/hub/park.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

// -EINTR when interrupted.
long wait_for_events(int fd, epoll_event* events, int capacity, rt::Deadline deadline) noexcept {
  Transfer set;
  set.fd = fd;
  set.state = descriptors().state(fd);
  if (set.state == nullptr) return -EBADF;
  set.generation = set.state->generation;
  const auto ask = [&] {
    const long ready = rt::raw_syscall_uninterrupted(SYS_epoll_wait, set.fd, events, capacity, 0);
    return signals().has_signalfds() ? add_shown_signals(set.fd, events, capacity, ready) : ready;
  };
  const SignalWatch watch;
  // A try has found nothing, and what has come since the wait finds out: it arms the set anew.
  bool has_asked = std::exchange(current_thread()->progress.tried, false) &&
                   set.state->on_demand != rt::FdState::kNever && !signals().has_signalfds();
  for (;; has_asked = false) {
    const uint32_t seen = rt::Poller::edges(*set.state, rt::Direction::kRead);
    const long ready = has_asked ? 0 : ask();
    if (was_overtaken(set, ready)) [[unlikely]] {
      if (const long closed = follow(set); closed != 0) return closed;
      continue;
    }
    if (ready != 0) {
      poller().pass_on(*set.state, rt::Direction::kRead);
      return ready;
    }
    if (deadline <= rt::monotonic_now()) {
      rt::yield();
      return ask();
    }
    if (current_thread()->trying) {
      current_thread()->progress.tried = true;
      return -kWouldWait;
    }
    poller().watch_on_demand(*set.state, set.generation);
    switch (poller().wait(set.fd, *set.state, set.generation, rt::Direction::kRead, seen, deadline,
                          &set.wait)) {
      case rt::WakeReason::kWoken:
      case rt::WakeReason::kClosed:
        if (const long closed = keep_up(set); closed != 0) return closed;
        break;
      case rt::WakeReason::kTimeout:
        if (const long closed = keep_up(set); closed != 0) return closed;
        return ask();
      default:
        if (!watch.was_all()) return -EINTR;
        if (const long closed = keep_up(set); closed != 0) return closed;
    }
  }
}

long wait_with_mask(int fd, epoll_event* events, int capacity, rt::Deadline deadline,
                    const uint64_t* mask, size_t mask_size) noexcept {
  TemporaryMask temporary;
  if (const long error = temporary.set(mask, mask_size); error != 0) return error;
  const long result = wait_for_events(fd, events, capacity, deadline);
  temporary.restore(result == -EINTR);
  return result;
}

}  // namespace

long sys_epoll_wait(int fd, epoll_event* events, int capacity, int timeout_ms) {
  return wait_for_events(fd, events, capacity, deadline_of_milliseconds(timeout_ms));
}

long sys_epoll_pwait(int fd, epoll_event* events, int capacity, int timeout_ms,
                     const uint64_t* mask, size_t mask_size) {
  return wait_with_mask(fd, events, capacity, deadline_of_milliseconds(timeout_ms), mask,
                        mask_size);
}

long sys_epoll_pwait2(int fd, epoll_event* events, int capacity, const timespec* timeout,
                      const uint64_t* mask, size_t mask_size) {
  rt::Deadline deadline;
  if (const long error = load_limit(timeout, &deadline); error != 0) return error;
  return wait_with_mask(fd, events, capacity, deadline, mask, mask_size);
}

}  // namespace tendril::kernel
