#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <system_error>

#include "runtime/io/attempt.hpp"
#include "runtime/platform/forgotten_fs_base.hpp"
#include "runtime/sync/workers.hpp"
#include "tendril/errors.hpp"
#include "tendril/io.hpp"

namespace tendril::io {

using namespace detail;
using rt::raw_syscall;

namespace {

// For what refuses both MSG_DONTWAIT and RWF_NOWAIT: a terminal, a device.
template <typename Call>
long poll_then(int fd, Direction direction, Call&& call) noexcept {
  return is_ready_now(fd, direction) ? call() : -EAGAIN;
}

// What a socket's own call has said tells whether it is one.
long note_socket(rt::FdState& state, long result) noexcept {
  using Transfers = rt::FdState::Transfers;
  if (state.transfers_as.load(std::memory_order_relaxed) == Transfers::kUnknown) {
    state.transfers_as.store(Transfers::kBySocketCalls, std::memory_order_relaxed);
  }
  return result;
}

long try_read(int fd, rt::FdState& state, void* buffer, size_t bytes) noexcept {
  long result = raw_syscall(SYS_recvfrom, fd, buffer, bytes, MSG_DONTWAIT, nullptr, nullptr);
  if (result != -ENOTSOCK) return note_socket(state, result);
  const iovec vector{buffer, bytes};
  result = raw_syscall(SYS_preadv2, fd, &vector, 1, -1L, -1L, RWF_NOWAIT);
  if (result != -EOPNOTSUPP) return result;
  return poll_then(fd, Direction::kRead, [&] { return raw_syscall(SYS_read, fd, buffer, bytes); });
}

// Makes the call with SIGPIPE kept away from this OS thread: a pipe, unlike a socket, has no flag
// for that. And with it all others, for in a green process their handlers return to the mask that
// its workers have. SIGSYS is raised by system calls, which nobody may block.
template <typename Call>
long without_sigpipe(Call&& call) noexcept {
  const rt::RuntimeSection section;  // the mask is the OS thread's: stay on it
  const uint64_t pipe_signal = uint64_t{1} << (SIGPIPE - 1);
  const uint64_t held = rt::all_signals_that_may_be_blocked() & ~(uint64_t{1} << (SIGSYS - 1));
  uint64_t before = 0;
  raw_syscall(SYS_rt_sigprocmask, SIG_BLOCK, &held, &before, sizeof before);
  const long result = call();
  if (result == -EPIPE && (before & pipe_signal) == 0) {
    const timespec none{};
    raw_syscall(SYS_rt_sigtimedwait, &pipe_signal, nullptr, &none, sizeof pipe_signal);
  }
  raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, nullptr, sizeof before);
  return result;
}

long try_write(int fd, rt::FdState& state, const void* buffer, size_t bytes) noexcept {
  long result = raw_syscall(SYS_sendto, fd, buffer, bytes, MSG_DONTWAIT | MSG_NOSIGNAL, nullptr, 0);
  if (result != -ENOTSOCK) return note_socket(state, result);
  const iovec vector{const_cast<void*>(buffer), bytes};
  result = without_sigpipe(
      [&] { return raw_syscall(SYS_pwritev2, fd, &vector, 1, -1L, -1L, RWF_NOWAIT); });
  if (result != -EOPNOTSUPP) return result;
  // Not more than what is sure to fit once it is writable.
  const size_t part = bytes < PIPE_BUF ? bytes : PIPE_BUF;
  return poll_then(fd, Direction::kWrite, [&] {
    return without_sigpipe([&] { return raw_syscall(SYS_write, fd, buffer, part); });
  });
}

bool wait_for(int fd, Direction direction, Duration timeout, const char* what) {
  rt::Worker* me = this_worker();
  if (raw_syscall(SYS_fcntl, fd, F_GETFD) < 0) fail(EBADF, what);
  rt::FdState* state = me->poller->state(fd);
  if (state == nullptr) fail(EBADF, what);
  forget_if_stale(*me->poller, fd, *state);
  if (is_ready_now(fd, direction)) return true;
  if (timeout <= Duration::zero()) return false;
  require_fiber();
  const rt::Deadline deadline = deadline_of(timeout);
  for (;;) {
    const uint32_t generation = state->generation;
    const uint32_t seen = rt::Poller::edges(*state, direction);
    if (is_ready_now(fd, direction)) {
      // The next one to wait may be ready as well: nothing was taken.
      me->poller->pass_on(*state, direction);
      return true;
    }
    throw_pending(record_of(running_fiber()));
    switch (me->poller->wait(fd, *state, generation, direction, seen, deadline)) {
      case rt::WakeReason::kTimeout:
        return false;
      case rt::WakeReason::kClosed:
        fail(EBADF, what);
      case rt::WakeReason::kInterrupted:
        on_interrupted(running_fiber());
        break;
      default:
        break;
    }
    me = this_worker();
  }
}

// What is left of a timeout that covers several calls.
class Remaining {
 public:
  explicit Remaining(Duration timeout) noexcept : deadline_(deadline_of(timeout)) {}
  Duration left() const noexcept {
    if (deadline_ == rt::kForever) return kForever;
    const rt::Nanoseconds left = deadline_ - rt::monotonic_now();
    return Duration(left > 1 ? left : 1);
  }

 private:
  rt::Deadline deadline_;
};

}  // namespace

size_t read(int fd, void* buffer, size_t bytes, Duration timeout) {
  return static_cast<size_t>(retry(
      fd, Direction::kRead, timeout, "read",
      [&](rt::FdState& state) { return try_read(fd, state, buffer, bytes); },
      [&] { return raw_syscall(SYS_read, fd, buffer, bytes); }, bytes,
      [&](rt::TransferRing& ring, rt::FdState& state, uint32_t generation, rt::Deadline deadline) {
        return ring.receive(fd, state, generation, buffer, bytes, deadline);
      }));
}

size_t read_all(int fd, void* buffer, size_t bytes, Duration timeout) {
  const Remaining remaining(timeout);
  size_t done = 0;
  while (done < bytes) {
    const size_t part = read(fd, static_cast<char*>(buffer) + done, bytes - done, remaining.left());
    if (part == 0) break;
    done += part;
  }
  return done;
}

size_t write(int fd, const void* buffer, size_t bytes, Duration timeout) {
  return static_cast<size_t>(retry(
      fd, Direction::kWrite, timeout, "write",
      [&](rt::FdState& state) { return try_write(fd, state, buffer, bytes); },
      [&] { return raw_syscall(SYS_write, fd, buffer, bytes); }, 0,
      [&](rt::TransferRing& ring, rt::FdState& state, uint32_t generation, rt::Deadline deadline) {
        return ring.send(fd, state, generation, buffer, bytes, deadline);
      }));
}

void write_all(int fd, const void* buffer, size_t bytes, Duration timeout) {
  const Remaining remaining(timeout);
  while (bytes > 0) {
    const size_t part = write(fd, buffer, bytes, remaining.left());
    buffer = static_cast<const char*>(buffer) + part;
    bytes -= part;
  }
}

int accept(int fd, sockaddr* address, socklen_t* length, Duration timeout) {
  const auto attempt = [&]() -> long {
    // A listener has no MSG_DONTWAIT: look first, and do not block if another process was faster.
    return poll_then(fd, Direction::kRead,
                     [&] { return raw_syscall(SYS_accept4, fd, address, length, SOCK_CLOEXEC); });
  };
  return static_cast<int>(retry(fd, Direction::kRead, timeout, "accept", attempt, attempt));
}

void connect(int fd, const sockaddr* address, socklen_t length, Duration timeout) {
  const long flags = raw_syscall(SYS_fcntl, fd, F_GETFL);
  if (flags < 0) fail(-flags, "connect");
  const bool blocking = (flags & O_NONBLOCK) == 0;
  if (blocking) raw_syscall(SYS_fcntl, fd, F_SETFL, flags | O_NONBLOCK);
  const long result = raw_syscall(SYS_connect, fd, address, length);
  if (blocking) raw_syscall(SYS_fcntl, fd, F_SETFL, flags);
  if (result == 0) return;
  if (result != -EINPROGRESS) fail(-result, "connect");
  if (!wait_for(fd, Direction::kWrite, timeout, "connect")) throw TimeoutError("connect");
  int error = 0;
  socklen_t size = sizeof error;
  raw_syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) fail(error, "connect");
}

void close(int fd) {
  forget_everywhere(fd);
  const long result = raw_syscall(SYS_close, fd);
  if (result < 0 && result != -EINTR) fail(-result, "close");
}

bool wait_read(int fd, Duration timeout) {
  return wait_for(fd, Direction::kRead, timeout, "wait_read");
}

bool wait_write(int fd, Duration timeout) {
  return wait_for(fd, Direction::kWrite, timeout, "wait_write");
}

}  // namespace tendril::io
