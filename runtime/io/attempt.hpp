// The protocol of every call on a descriptor that may have to wait: try, and wait for an edge only
// after EAGAIN.
#pragma once

#include <poll.h>

#include <cerrno>
#include <system_error>
#include <type_traits>

#include "runtime/hub/park.hpp"
#include "runtime/hub/poller.hpp"
#include "runtime/hub/transfer_ring.hpp"
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

// For calls that a TransferRing has nothing for.
struct NoTransfer {};

// No socket any more; or one that the program has made non-blocking, which the kernel obeys there.
constexpr bool is_unfit_for_ring(long result) noexcept {
  return result == -EAGAIN || result == -ENOTSOCK || result == -EOPNOTSUPP;
}

// After a transfer by the ring: notes what it says about the descriptor. True if the call is done,
// else *why says what to do.
inline bool note_transfer(int fd, rt::FdState& state, uint32_t generation, uint32_t seen,
                          Direction direction, size_t asked,
                          const rt::TransferRing::Outcome& outcome, rt::WakeReason* why) noexcept {
  const long result = outcome.result;
  *why = outcome.why;
  if (result == -ECANCELED || result == -EINTR) return false;
  if (is_unfit_for_ring(result)) {
    state.transfers_as.store(rt::FdState::Transfers::kUnfit, std::memory_order_relaxed);
    rt::Poller::note_some_left(state);
    *why = rt::WakeReason::kWoken;
    return false;
  }
  if (direction == Direction::kRead) {
    if (result > 0 && static_cast<size_t>(result) < asked && !outcome.more) {
      rt::Poller::note_short_read(fd, state, generation, seen);
    } else {
      rt::Poller::note_some_left(state);
    }
  }
  return true;
}

template <typename Attempt>
long try_once(Attempt& attempt, rt::FdState& state) {
  if constexpr (std::is_invocable_v<Attempt&, rt::FdState&>) {
    return attempt(state);
  } else {
    return attempt();
  }
}

// Calls `attempt` until it says something else than -EAGAIN, waiting between. `asked`: of a
// read, how much it may bring. `transfer(ring, state, generation, deadline)` does the same by the
// worker's ring, where it has one and the descriptor is known to be a socket: a read when there was
// nothing, a write in any case.
template <typename Attempt, typename Blocking, typename Transfer = NoTransfer>
long retry(int fd, Direction direction, Duration timeout, const char* what, Attempt&& attempt,
           Blocking&& blocking, size_t asked = 0, Transfer&& transfer = {}) {
  constexpr bool kMayTransfer = !std::is_same_v<std::decay_t<Transfer>, NoTransfer>;
  rt::Worker* me = detail::this_worker();
  rt::FdState* state = me->poller->state(fd);
  if (state == nullptr) fail(EBADF, what);
  const auto leaves_it_to_ring = [&] {
    return kMayTransfer && me->transfers != nullptr &&
           state->transfers_as.load(std::memory_order_relaxed) ==
               rt::FdState::Transfers::kBySocketCalls;
  };
  rt::Deadline deadline = 0;
  for (;;) {
    const uint32_t generation = state->generation;
    const uint32_t seen = rt::Poller::edges(*state, direction);
    // A write that need not wait for the descriptor waits for the hub there: only if that is near.
    const bool at_once = direction == Direction::kWrite && leaves_it_to_ring() &&
                         !detail::is_hub(me->current) && me->hub_is_near();
    if (!at_once && !rt::Poller::is_drained(*state, direction)) {
      const long result = try_once(attempt, *state);
      if (result == -EINTR) continue;
      if (result != -EAGAIN) {
        if (result < 0) fail(-result, what);
        if (result > 0 && static_cast<size_t>(result) < asked) {
          rt::Poller::note_short_read(fd, *state, generation, seen);
        }
        me->poller->pass_on(*state, direction);
        if (me->turn_may_be_over()) [[unlikely]]
          rt::end_turn();
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
    rt::WakeReason why = rt::WakeReason::kWoken;
    if (!leaves_it_to_ring()) {
      why = me->poller->wait(fd, *state, generation, direction, seen, deadline);
    } else if constexpr (kMayTransfer) {
      const rt::TransferRing::Outcome outcome =
          transfer(*me->transfers, *state, generation, deadline);
      if (note_transfer(fd, *state, generation, seen, direction, asked, outcome, &why)) {
        if (outcome.result < 0) fail(-outcome.result, what);
        me->poller->pass_on(*state, direction);
        return outcome.result;
      }
    }
    switch (why) {
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
