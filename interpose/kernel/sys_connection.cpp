// accept(2), connect(2): they have no "do not wait" flag of their own
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "interpose/kernel/blocking_io.hpp"
#include "interpose/kernel/connecting.hpp"
#include "interpose/kernel/nonblocking_moment.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "runtime/hub/accept_ring.hpp"
#include "runtime/hub/offload.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

bool is_readable_now(int fd) noexcept {
  pollfd probe{fd, POLLIN, 0};
  const timespec now{0, 0};
  return rt::raw_syscall_uninterrupted(SYS_ppoll, &probe, 1, &now, nullptr, 0) > 0;
}

// What does not listen never has a connection: accept says so at once. What has once listened is
// readable when it does no more, until it is connected.
bool listens(const Transfer& transfer) noexcept {
  if (transfer.facts.listens) return true;
  int value = 0;
  socklen_t size = sizeof value;
  const long result =
      rt::raw_syscall(SYS_getsockopt, transfer.fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size);
  if (result != 0 || value == 0) return false;
  if (!transfer.facts.shared_outside) descriptors().seen_listening(*transfer.state);
  return true;
}

long accept_new(int fd, void* address, void* address_size, int flags) noexcept {
  Transfer transfer;
  const bool known = begin_transfer(fd, rt::Direction::kRead, &transfer, Attempts::kNeverWait) == 0;
  const auto native = [&] {
    return rt::raw_syscall(SYS_accept4, known ? transfer.fd : fd, address, address_size, flags);
  };
  long result = -EINTR;
  if (!known || transfer.facts.nonblocking ||
      (transfer.facts.kind != FdKind::kStream && transfer.facts.kind != FdKind::kPacket)) {
    while (result == -EINTR) result = native();
  } else {
    // Where only this number takes connections from it, by one thread at a time, accept finds the
    // one that made it readable and returns at once. (It may still wait if another file takes the
    // number just then. So no lock is held, and it waits like any call that is passed on.) Another
    // process or another number may be faster: then it would wait. A ring's does not; where there
    // is none, a pool thread must do it, unless nothing is known of others: the socket is from
    // before anything was green.
    const bool has_others = transfer.facts.shared_outside || transfer.facts.duplicated;
    const bool is_alone = !has_others && !transfer.facts.maybe_duplicated;
    bool needs_thread = false;
    result = blocking_transfer(transfer, [&]() -> long {
      const rt::SoleTry sole(poller(), *transfer.state, transfer.direction);
      if (!sole || (!is_readable_now(transfer.fd) && listens(transfer))) return -EAGAIN;
      const long connection =
          is_alone ? -ENOSYS : rt::accept_at_once(transfer.fd, address, address_size, flags);
      if (connection == -ENOSYS && !has_others) return native();
      needs_thread = connection == -ENOSYS;
      return connection;
    });
    if (needs_thread) {
      if (current_thread()->trying) return -kWouldWait;
      result = rt::offload(SYS_accept4, transfer.fd, reinterpret_cast<long>(address),
                           reinterpret_cast<long>(address_size), flags, 0, 0);
      if (result == -EINTR) result = -kRestartSys;
    }
  }
  if (result < 0) return result;
  NewFile connection;
  if (known) {
    connection =
        descriptors().accepted_from(transfer.fd, *transfer.state, transfer.generation, flags);
  }
  descriptors().created(static_cast<int>(result), /*shared_outside=*/false, connection);
  return result;
}

}  // namespace

long sys_accept(int fd, void* address, void* address_size) {
  return accept_new(fd, address, address_size, 0);
}

long sys_accept4(int fd, void* address, void* address_size, int flags) {
  if ((flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) != 0) {  // an error: of the flags or another
    return rt::raw_syscall(SYS_accept4, fd, address, address_size, flags);
  }
  return accept_new(fd, address, address_size, flags);
}

long sys_connect(int fd, const void* address, unsigned address_size) {
  Transfer transfer;
  if (begin_transfer(fd, rt::Direction::kWrite, &transfer) != 0) {
    return rt::raw_syscall(SYS_connect, fd, address, address_size);
  }
  const auto native = [&] {
    return rt::raw_syscall(SYS_connect, transfer.fd, address, address_size);
  };
  size_t begun;  // by the try of which this is the full call
  if (!resume_transfer(transfer, &begun)) return -EBADF;
  descriptors().connecting(*transfer.state, transfer.facts);
  if (transfer.facts.nonblocking) return native();
  if (transfer.facts.kind != FdKind::kStream) return native();  // datagrams: at once
  const auto offloaded = [&]() -> long {
    if (current_thread()->trying) return -kWouldWait;
    const long result =
        rt::offload(SYS_connect, fd, reinterpret_cast<long>(address), address_size, 0, 0, 0);
    return result == -EINTR ? -kRestartSys : result;
  };
  if (transfer.facts.shared_outside) return offloaded();

  // Nobody else sees the open file: non-blocking for the moment of the call.
  const uint32_t seen = rt::Poller::edges(*transfer.state, rt::Direction::kWrite);
  const auto begin_or_tell = [&] {
    const NonblockingMoment moment(transfer.fd, transfer.facts);
    return native();
  };
  long result = begin_or_tell();
  if (result == -EAGAIN) return offloaded();  // a Unix socket whose peer's backlog is full
  if (result == -EALREADY) {
    // An earlier call was interrupted; the connection is under way. Wait for it like that one.
  } else if (result != -EINPROGRESS) {
    return result;
  }
  const long unfinished = begun != 0 ? -EINPROGRESS : result;
  // From here on it is under way. (A try that ends here goes on in the full call by EALREADY.)
  result = wait_for_connection(transfer, seen);
  if (result == -EAGAIN) return unfinished;  // socket(7): SO_SNDTIMEO is over, the attempt goes on
  if (result == -kWouldWait) return end_transfer(transfer, result, unfinished == -EINPROGRESS);
  if (result != 0) return result;
  // Asking once more gives the outcome, and makes the socket's state "connected" as a blocking
  // connect would (SO_ERROR would not: the next connect then succeeds instead of EISCONN).
  return begin_or_tell();
}

}  // namespace tendril::kernel
