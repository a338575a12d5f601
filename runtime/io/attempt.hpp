// The protocol of every call on a descriptor that may have to wait: try, and wait for an edge only
// after EAGAIN.
#pragma once

#include <poll.h>

#include <cerrno>
#include <system_error>

#include "runtime/hub/poller.hpp"
#include "runtime/platform/syscall.hpp"
#include "runtime/sync/attention.hpp"
#include "runtime/sync/wait_list.hpp"
#include "tendril/errors.hpp"

namespace tendril::io {

using rt::Direction;

[[noreturn]] inline void fail(long error, const char* what) {
  throw std::system_error(static_cast<int>(error), std::generic_category(), what);
}

inline bool is_ready_now(int fd, Direction direction) noexcept {
  pollfd p{fd, static_cast<short>(direction == Direction::kRead ? POLLIN : POLLOUT), 0};
  const timespec none{};
  return rt::raw_syscall(SYS_ppoll, &p, 1, &none, nullptr, 0) > 0;
}

// Calls `attempt` until it says something else than -EAGAIN, waiting between. `asked`: of a read,
// how much it may bring.
template <typename Attempt, typename Blocking>
long retry(int fd, Direction direction, Duration timeout, const char* what, Attempt&& attempt,
           Blocking&& blocking, size_t asked = 0) {
  rt::Worker* me = detail::this_worker();
  rt::FdState* state = me->poller->state(fd);
  if (state == nullptr) fail(EBADF, what);
  rt::Deadline deadline = 0;
  for (;;) {
    const uint32_t generation = state->generation;
    const uint32_t seen = rt::Poller::edges(*state, direction);
    if (!rt::Poller::is_drained(*state, direction)) {
      const long result = attempt();
      if (result == -EINTR) continue;
      if (result != -EAGAIN) {
        if (result < 0) fail(-result, what);
        if (result > 0 && static_cast<size_t>(result) < asked) {
          rt::Poller::note_short_read(fd, *state, generation, seen);
        }
        me->poller->pass_on(*state, direction);
        return result;
      }
      if (!rt::Poller::is_nothing_there(fd, *state, direction)) continue;
      if (state->always_ready) {  // a file: it waits for the disk only
        const long done = blocking();
        if (done < 0) fail(-done, what);
        return done;
      }
    }
    if (deadline == 0) {
      detail::require_fiber();
      deadline = detail::deadline_of(timeout);
    }
    detail::throw_pending(detail::record_of(detail::running_fiber()));
    switch (me->poller->wait(fd, *state, generation, direction, seen, deadline)) {
      case rt::WakeReason::kTimeout:
        throw TimeoutError(what);
      case rt::WakeReason::kClosed:
        fail(EBADF, what);
      case rt::WakeReason::kInterrupted:
        detail::on_interrupted(detail::running_fiber());
        break;
      default:
        break;
    }
    me = detail::this_worker();
  }
}

}  // namespace tendril::io
