// The loop of every transfer on a descriptor: try first, wait only after EAGAIN.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "interpose/kernel/descriptors.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/restart.hpp"
#include "runtime/memory/pages.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {

struct Transfer {
  Transfer() = default;
  ~Transfer() {
    if (wait.holds) poller().release(fd, *state, generation);
  }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  int fd;  // changes if it is closed while it is waited for, see follow
  rt::FdState* state;
  Facts facts;
  uint32_t generation;
  rt::Direction direction;
  rt::Deadline deadline;
  int dont_wait = MSG_DONTWAIT;  // what the attempts on a socket add to their flags
  rt::CallWait wait;
};

// Where a read puts what it gets, if it is one piece of memory. None: nothing follows from a short
// read.
struct Destination {
  const void* buffer = nullptr;
  size_t size = 0;
};

// True if `got` bytes are less than was asked for, and that not because the rest of the buffer
// cannot be written, which is no error once something has been copied. It certainly can on the page
// that was just written to, and in this thread's frames.
inline bool is_short(const Destination& to, long got) noexcept {
  const auto begin = reinterpret_cast<uintptr_t>(to.buffer);
  const uintptr_t end = begin + to.size;
  const uintptr_t written = begin + static_cast<size_t>(got);
  if (got <= 0 || end <= written) return false;
  if (((written - 1) ^ (end - 1)) < rt::kPageSize) return true;
  const GreenThread* thread = current_thread();
  const auto frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  return thread->stack_bottom <= frame && frame <= begin && end <= thread->stack_top;
}

// Looks the descriptor up. 0 or -EBADF. Attempts::kNeverWait: whatever the descriptor's flags are.
enum class Attempts : bool { kMayWait, kNeverWait };
inline long begin_transfer(int fd, rt::Direction direction, Transfer* transfer,
                           Attempts attempts = Attempts::kMayWait) noexcept {
  rt::FdState* s = descriptors().state(fd);
  if (s == nullptr) return -EBADF;
  transfer->fd = fd;
  transfer->state = s;
  transfer->direction = direction;
  transfer->generation = s->generation;
  transfer->deadline = rt::kForever;
  return attempts == Attempts::kNeverWait
             ? descriptors().facts_for_attempt(fd, *s, &transfer->facts)
             : descriptors().facts(fd, *s, &transfer->facts);
}

// The attempt has found nothing, and whether the call waits another process may have decided. 0: it
// does.
[[gnu::cold, gnu::noinline]] inline long confirm(Transfer& transfer) noexcept {
  if (const long error = descriptors().facts(transfer.fd, *transfer.state, &transfer.facts);
      error != 0) {
    return error;
  }
  return transfer.facts.nonblocking ? -EAGAIN : 0;
}

// The number has got another owner, or is about to.
inline bool is_closed(const Transfer& transfer) noexcept {
  return transfer.state->generation != transfer.generation;
}

// Goes on with the open file that it holds, under another number. 0; else the result of the call:
// who holds nothing, or whose file could not be kept, has changed nothing yet, and calls anew with
// whatever the number stands for now.
[[gnu::cold, gnu::noinline]] inline long follow(Transfer& transfer) noexcept {
  if (!transfer.wait.holds) return -kRestartAlways;
  const int fd = poller().follow(*transfer.state, transfer.generation);
  if (fd < 0) {
    transfer.wait.holds = false;
    return -kRestartAlways;
  }
  transfer.fd = fd;
  transfer.state = poller().state_if_known(fd);
  transfer.generation = transfer.state->generation;
  return 0;
}

// An attempt on a number that was closed between the look at it and the call: the file is kept.
inline bool was_overtaken(const Transfer& transfer, long result) noexcept {
  return result == -EBADF && transfer.wait.holds && is_closed(transfer);
}

// To be called before each attempt of a transfer that has another descriptor to go by as well.
inline long keep_up(Transfer& transfer) noexcept {
  return is_closed(transfer) ? follow(transfer) : 0;
}

// For who is about to wait on another descriptor. 0 or the result of the call.
inline long hold(Transfer& transfer) noexcept {
  bool& holds = transfer.wait.holds;
  if (!holds) holds = poller().hold(*transfer.state, transfer.generation);
  return holds ? 0 : -kRestartAlways;
}

inline bool is_blocking_socket(const Facts& facts) noexcept {
  return (facts.kind == FdKind::kStream || facts.kind == FdKind::kPacket) && !facts.nonblocking;
}

// Something has been written, if the result says so: who waits for it hears of it at once.
inline long tell_other_end(const Transfer& transfer, long result) noexcept {
  if (transfer.facts.tells_other_end && result > 0) poller().tell_other_end(*transfer.state);
  return result;
}

inline long tell_other_end_of(int fd, long result) noexcept {
  const rt::FdState* s = result > 0 ? poller().state_if_known(fd) : nullptr;
  if (s != nullptr && DescriptorTable::tells_other_end(*s)) poller().tell_other_end(*s);
  return result;
}

// Waits until the descriptor may be ready. 0: try again; else the result of the call.
inline long wait_for_readiness(Transfer& transfer, uint32_t seen) noexcept {
  GreenThread* thread = current_thread();
  if (thread->trying) {
    thread->progress.tried = true;
    return -kWouldWait;
  }
  if (transfer.facts.unconfirmed) [[unlikely]] {
    if (const long result = confirm(transfer); result != 0) return result;
  }
  const bool limited = transfer.direction == rt::Direction::kRead ? transfer.facts.read_limit
                                                                  : transfer.facts.write_limit;
  if (limited && transfer.deadline == rt::kForever) [[unlikely]] {
    transfer.deadline = descriptors().limit(transfer.fd, transfer.facts, transfer.direction);
  }
  switch (poller().wait(transfer.fd, *transfer.state, transfer.generation, transfer.direction, seen,
                        transfer.deadline, &transfer.wait)) {
    case rt::WakeReason::kWoken:
    case rt::WakeReason::kClosed:
      return is_closed(transfer) ? follow(transfer) : 0;
    case rt::WakeReason::kTimeout:
      return -EAGAIN;  // socket(7): a time limit of the socket gives EAGAIN
    default:
      return limited ? -EINTR : -kRestartSys;  // signal(7): no restart where a limit is set
  }
}

// Progress of a transfer that takes several steps, kept over the seam between a hook's try and the
// full call: without it the bytes that the try moved would be moved again.
inline size_t take_progress() noexcept {
  return std::exchange(current_thread()->progress.bytes, size_t{0});
}

// *done: what the try has moved. False: that is all, for the number is another open file's by now.
inline bool resume_transfer(const Transfer& transfer, size_t* done) noexcept {
  *done = take_progress();
  return *done == 0 || current_thread()->progress.generation == transfer.generation;
}

// For a call that the kernel need not wait for. If its try has moved something, the descriptor has
// changed since: it is gone, or non-blocking now, and the call ends with that.
template <typename Native>
long begun_or(Native&& native) noexcept {
  const size_t done = take_progress();
  return done != 0 ? static_cast<long>(done) : native();
}

// The result of a step that failed after `done` bytes: those count.
inline long end_transfer(const Transfer& transfer, long result, size_t done) noexcept {
  if (result == -kWouldWait) {
    Progress& progress = current_thread()->progress;
    progress.bytes = done;
    progress.generation = transfer.generation;
    return result;
  }
  return done > 0 ? static_cast<long>(done) : result;
}

// A datagram socket that has been shut down for reading: a call that may wait says so at once, one
// that may not says EAGAIN for ever.
[[gnu::cold, gnu::noinline]] inline bool is_shut_down(int fd) noexcept {
  pollfd probe{fd, POLLRDHUP, 0};
  const timespec now{0, 0};
  return rt::raw_syscall_uninterrupted(SYS_ppoll, &probe, 1, &now, nullptr, 0) > 0 &&
         (probe.revents & POLLRDHUP) != 0;
}
inline bool has_ended(const Transfer& transfer) noexcept {
  return transfer.facts.kind == FdKind::kPacket && transfer.direction == rt::Direction::kRead &&
         is_shut_down(transfer.fd);
}

// Makes a read of bytes that the Linux kernel does not wait in, and notes where it has found the
// end of them: a poll that follows need not look. Only of what has been polled before.
template <typename Native>
long noting_end(int fd, const Destination& to, Native&& native) noexcept {
  rt::FdState* s = poller().state_if_known(fd);
  if (s == nullptr || !s->registered) return native();
  Transfer transfer;
  if (begin_transfer(fd, rt::Direction::kRead, &transfer, Attempts::kNeverWait) != 0 ||
      !descriptors().carries_bytes_only(transfer.facts)) {
    return native();
  }
  const uint32_t seen = rt::Poller::edges(*s, rt::Direction::kRead);
  const long result = native();
  if (is_short(to, result)) {
    rt::Poller::note_short_read(fd, *s, transfer.generation, seen);
  } else if (result == -EAGAIN && rt::Poller::is_nothing_there(fd, *s, rt::Direction::kRead)) {
    rt::Poller::note_drained(*s, rt::Direction::kRead, seen);
  }
  return result;
}

// `try_once` makes one attempt that does not block: a result, or -EAGAIN. Precondition: the program
// has not asked for a non-blocking call.
template <typename Try>
long blocking_transfer(Transfer& transfer, Try&& try_once, const Destination& to = {}) {
  // Where nothing was found since the last edge, two may leave out their own try: the full call of
  // a try that has found nothing, and a call that only takes bytes. Any other may fail at once.
  const bool takes_bytes = to.buffer != nullptr && descriptors().carries_bytes_only(transfer.facts);
  GreenThread* thread = current_thread();
  bool may_leave_out = takes_bytes || thread->progress.tried;
  thread->progress.tried = false;
  transfer.wait.in_vain = 0;
  for (;; may_leave_out = takes_bytes) {
    rt::FdState& s = *transfer.state;
    const uint32_t seen = rt::Poller::edges(s, transfer.direction);
    if (!may_leave_out || !rt::Poller::is_drained(s, transfer.direction)) {
      const long result = try_once();
      if (result != -EAGAIN) [[likely]] {
        if (result == -EINTR) continue;  // it did not wait: the signal is none of the program's
        if (was_overtaken(transfer, result)) [[unlikely]] {
          if (const long closed = follow(transfer); closed != 0) return closed;
          continue;
        }
        if (takes_bytes && is_short(to, result)) {
          rt::Poller::note_short_read(transfer.fd, s, transfer.generation, seen);
        }
        poller().pass_on(s, transfer.direction);
        return result;
      }
      if (!rt::Poller::is_nothing_there(transfer.fd, s, transfer.direction)) continue;
      if (transfer.dont_wait != 0 && has_ended(transfer)) {
        transfer.dont_wait = 0;
        continue;
      }
      rt::Poller::note_drained(s, transfer.direction, seen);
    }
    if (const long result = wait_for_readiness(transfer, seen); result != 0) return result;
  }
}

}  // namespace tendril::kernel
