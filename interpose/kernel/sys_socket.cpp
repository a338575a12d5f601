// recv*(2) and send*(2); setsockopt(2) for the time limits, and for what changes transfers
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <climits>

#include "interpose/kernel/blocking_io.hpp"
#include "interpose/kernel/connecting.hpp"
#include "interpose/kernel/io_vectors.hpp"
#include "interpose/kernel/signal_descriptors.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/time_arguments.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "runtime/hub/offload.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

int option(int fd, int name) noexcept {
  int value = 0;
  socklen_t size = sizeof value;
  rt::raw_syscall(SYS_getsockopt, fd, SOL_SOCKET, name, &value, &size);
  return value;
}

// Nothing is waited for in a queue of errors, or for a byte out of band; but there are sockets that
// do not know these flags.
bool never_waits(int fd, int flags) noexcept {
  if ((flags & (MSG_ERRQUEUE | MSG_OOB)) == 0) return false;
  const int domain = option(fd, SO_DOMAIN);
  const bool internet = domain == AF_INET || domain == AF_INET6;
  if ((flags & MSG_ERRQUEUE) != 0 && internet) return true;
  return (flags & MSG_OOB) != 0 &&
         (domain == AF_UNIX || (internet && option(fd, SO_TYPE) == SOCK_STREAM));
}

// True if the call must go to the kernel as it is: it will not block, or it will fail.
bool is_native(int fd, int flags, rt::Direction direction, Transfer* transfer) noexcept {
  // One that connects first may wait for that.
  const Attempts attempts = (flags & MSG_FASTOPEN) != 0 ? Attempts::kMayWait : Attempts::kNeverWait;
  return (flags & MSG_DONTWAIT) != 0 ||
         (direction == rt::Direction::kRead && never_waits(fd, flags)) ||
         begin_transfer(fd, direction, transfer, attempts) != 0 || transfer->facts.nonblocking ||
         (transfer->facts.kind != FdKind::kStream && transfer->facts.kind != FdKind::kPacket);
}

// Descriptors that came in a message are new numbers here, and shared with their sender.
void note_received_descriptors(const msghdr* message) noexcept {
  msghdr header;
  if (copy_in(&header, message) != 0 || header.msg_controllen < sizeof(cmsghdr)) return;
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      __builtin_memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
      descriptors().created(fd, /*shared_outside=*/true);
      note_if_signal_descriptor(fd);
    }
  }
}

bool has_control_data(const msghdr* message) noexcept {
  msghdr header;
  return copy_in(&header, message) == 0 && header.msg_control != nullptr &&
         header.msg_controllen > 0;
}

bool has_error(int fd) noexcept {
  pollfd probe{fd, 0, 0};
  const timespec now{0, 0};
  return rt::raw_syscall_uninterrupted(SYS_ppoll, &probe, 1, &now, nullptr, 0) > 0 &&
         (probe.revents & POLLERR) != 0;
}

// An attempt to send says this: its socket has room, the one that it is sent to has not. No edge
// tells when that has, and every attempt makes one of its own: a pool thread waits for it.
constexpr long kFullElsewhere = LONG_MAX;

long or_full_elsewhere(const Transfer& transfer, long result) noexcept {
  if (result != -EAGAIN || transfer.facts.kind != FdKind::kPacket) return result;
  pollfd probe{transfer.fd, POLLOUT, 0};
  const timespec now{0, 0};
  const bool has_room = rt::raw_syscall_uninterrupted(SYS_ppoll, &probe, 1, &now, nullptr, 0) > 0;
  return has_room ? kFullElsewhere : -EAGAIN;
}

template <typename... Arguments>
long send_by_pool_thread(long number, const Transfer& transfer, Arguments... arguments) noexcept {
  if (current_thread()->trying) return -kWouldWait;
  const long result = rt::offload(number, transfer.fd, arguments...);
  return result == -EINTR ? -kRestartSys : result;
}

// Waits for one message and takes what else is there. An error that comes after some the kernel
// keeps with the socket; it begins by taking one that is there. 0: there is one, and it is the next
// call's, because this one has messages already.
long receive_several(Transfer& transfer, bool has_some, mmsghdr* messages, unsigned count,
                     int flags) noexcept {
  const int own_flags = flags & ~MSG_WAITFORONE;
  const long result = blocking_transfer(transfer, [&] {
    if (has_some && has_error(transfer.fd)) return 0L;
    return rt::raw_syscall(SYS_recvmmsg, transfer.fd, messages, count,
                           own_flags | transfer.dont_wait, nullptr);
  });
  for (long i = 0; i < result && (flags & MSG_ERRQUEUE) == 0; ++i) {
    note_received_descriptors(&messages[i].msg_hdr);
  }
  return result;
}

// One message, which on a stream is as long as its buffers. 1 or an error.
long receive_whole(int fd, mmsghdr* message, int flags) noexcept {
  const long size = sys_recvmsg(fd, &message->msg_hdr, flags & ~MSG_WAITFORONE);
  if (size < 0) return size;
  const long error = copy_out(&message->msg_len, static_cast<unsigned>(size));
  return error != 0 ? error : 1;
}

}  // namespace

long sys_recvfrom(int fd, void* buffer, size_t length, int flags, void* address,
                  void* address_size) {
  Transfer transfer;
  const auto attempt = [&](int number, size_t done, int more_flags) {
    return rt::raw_syscall(SYS_recvfrom, number, static_cast<char*>(buffer) + done, length - done,
                           flags | more_flags, address, address_size);
  };
  if (is_native(fd, flags, rt::Direction::kRead, &transfer)) {
    return begun_or([&] {
      const auto native = [&] { return attempt(fd, 0, 0); };
      const bool takes_bytes = (flags & ~MSG_DONTWAIT) == 0;
      return takes_bytes ? noting_end(fd, Destination{buffer, length}, native) : native();
    });
  }
  const bool until_full = (flags & MSG_WAITALL) != 0 && (flags & MSG_PEEK) == 0 &&
                          transfer.facts.kind == FdKind::kStream;
  const bool takes_data = (flags & ~MSG_WAITALL) == 0;
  size_t done;
  if (!resume_transfer(transfer, &done)) return static_cast<long>(done);
  for (;;) {
    const long result = blocking_transfer(
        transfer, [&] { return attempt(transfer.fd, done, transfer.dont_wait); },
        takes_data ? Destination{static_cast<char*>(buffer) + done, length - done} : Destination{});
    if (result < 0) return end_transfer(transfer, result, done);
    done += static_cast<size_t>(result);
    if (!until_full || done >= length || result == 0) return static_cast<long>(done);
  }
}

long sys_recvmsg(int fd, msghdr* message, int flags) {
  Transfer transfer;
  const auto attempt = [&](int number, int more_flags) {
    return rt::raw_syscall(SYS_recvmsg, number, message, flags | more_flags);
  };
  long result;
  if (is_native(fd, flags, rt::Direction::kRead, &transfer)) {
    result = begun_or([&] { return attempt(fd, 0); });
  } else if ((flags & MSG_WAITALL) != 0 && transfer.facts.kind == FdKind::kStream &&
             (flags & MSG_PEEK) == 0) {
    msghdr header;
    if (copy_in(&header, message) != 0) return -EFAULT;
    IoVectors rest;
    if (const long error = rest.load(header.msg_iov, static_cast<long>(header.msg_iovlen));
        error != 0) {
      // It fails at once, with an error that is not always the one of readv (EMSGSIZE).
      return error == -ENOMEM ? error : attempt(fd, MSG_DONTWAIT);
    }
    size_t done;
    const bool goes_on = resume_transfer(transfer, &done);
    const auto take_only_data = [&] {  // name, control data and flags come with the first part
      header.msg_control = nullptr;
      header.msg_controllen = 0;
      header.msg_name = nullptr;
      header.msg_namelen = 0;
    };
    if (done > 0) take_only_data();
    while (goes_on) {
      msghdr part = header;
      rest.skip_to(done);
      part.msg_iov = rest.data();
      part.msg_iovlen = static_cast<size_t>(rest.count());
      result = blocking_transfer(transfer, [&] {
        return rt::raw_syscall(SYS_recvmsg, transfer.fd, &part, flags | transfer.dont_wait);
      });
      if (result < 0) {
        result = end_transfer(transfer, result, done);
        if (result < 0) return result;
        break;
      }
      if (done == 0) {
        part.msg_iov = header.msg_iov;
        part.msg_iovlen = header.msg_iovlen;
        if (copy_out(message, part) != 0) return -EFAULT;
        take_only_data();
      }
      done += static_cast<size_t>(result);
      if (result == 0 || done >= rest.total()) break;
    }
    result = static_cast<long>(done);
  } else {
    result = blocking_transfer(transfer, [&] { return attempt(transfer.fd, transfer.dont_wait); });
  }
  if (result >= 0 && (flags & MSG_ERRQUEUE) == 0) note_received_descriptors(message);
  return result;
}

long sys_recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags, timespec* timeout) {
  Transfer transfer;
  if (count == 0 || is_native(fd, flags, rt::Direction::kRead, &transfer)) {
    return rt::raw_syscall(SYS_recvmmsg, fd, messages, count, flags, timeout);
  }
  rt::Deadline deadline;
  if (const long error = load_limit(timeout, &deadline); error != 0) return error;
  // The kernel takes so many at once.
  if (count > UIO_MAXIOV) count = UIO_MAXIOV;
  const bool waits_for_all = (flags & MSG_WAITALL) != 0 && transfer.facts.kind == FdKind::kStream;
  // The kernel's recvmmsg looks for an error first, its recvmsg for bytes.
  if (waits_for_all && (flags & MSG_ERRQUEUE) == 0) {
    if (const int error = option(fd, SO_ERROR); error != 0) return -error;
  }
  // recvmmsg(2), BUGS: the limit is looked at only after each message.
  unsigned done = 0;
  while (done < count) {
    const unsigned most = rt::monotonic_now() >= deadline ? 1 : count - done;
    const long result = waits_for_all
                            ? receive_whole(fd, messages + done, flags)
                            : receive_several(transfer, done > 0, messages + done, most, flags);
    if (result == 0) break;
    if (result < 0) {
      if (done == 0) return result;
      break;
    }
    done += static_cast<unsigned>(result);
    current_thread()->trying = false;
    if ((flags & MSG_WAITFORONE) != 0 || rt::monotonic_now() >= deadline) break;
  }
  if (done > 0 && timeout != nullptr &&
      copy_out(timeout, rt::to_timespec(time_left(deadline))) != 0) {
    return -EFAULT;
  }
  return static_cast<long>(done);
}

long sys_sendto(int fd, const void* buffer, size_t length, int flags, const void* address,
                unsigned address_size) {
  Transfer transfer;
  const auto attempt = [&](int number, size_t done, int more_flags) {
    return rt::raw_syscall(SYS_sendto, number, static_cast<const char*>(buffer) + done,
                           length - done, flags | more_flags, address, address_size);
  };
  if (is_native(fd, flags, rt::Direction::kWrite, &transfer)) {
    return begun_or([&] { return tell_other_end_of(fd, attempt(fd, 0, 0)); });
  }
  size_t done;
  if (!resume_transfer(transfer, &done)) return static_cast<long>(done);
  if (may_connect(transfer.facts, flags)) [[unlikely]] {
    const long sent =
        begin_connecting_send(transfer, flags, [&] { return attempt(fd, 0, MSG_DONTWAIT); });
    flags &= ~MSG_FASTOPEN;
    if (sent < 0 || (sent > 0 && static_cast<size_t>(sent) >= length)) return sent;
    done = static_cast<size_t>(sent);
  }
  for (;;) {
    const long result = blocking_transfer(transfer, [&] {
      return or_full_elsewhere(transfer, attempt(transfer.fd, done, MSG_DONTWAIT));
    });
    if (result == kFullElsewhere) {
      return send_by_pool_thread(SYS_sendto, transfer, reinterpret_cast<long>(buffer),
                                 static_cast<long>(length), flags, reinterpret_cast<long>(address),
                                 static_cast<long>(address_size));
    }
    if (result < 0) return end_transfer(transfer, result, done);
    tell_other_end(transfer, result);
    done += static_cast<size_t>(result);
    if (done >= length || transfer.facts.kind != FdKind::kStream || result == 0) {
      return static_cast<long>(done);
    }
  }
}

long sys_sendmsg(int fd, const msghdr* message, int flags) {
  Transfer transfer;
  if (has_control_data(message)) descriptors().passed_outside();
  if (is_native(fd, flags, rt::Direction::kWrite, &transfer)) {
    return begun_or(
        [&] { return tell_other_end_of(fd, rt::raw_syscall(SYS_sendmsg, fd, message, flags)); });
  }
  const auto attempt = [&] {
    return rt::raw_syscall(SYS_sendmsg, transfer.fd, message, flags | MSG_DONTWAIT);
  };
  size_t done;
  if (!resume_transfer(transfer, &done)) return static_cast<long>(done);
  if (may_connect(transfer.facts, flags)) [[unlikely]] {
    const long sent = begin_connecting_send(transfer, flags, attempt);
    if (sent < 0) return sent;
    flags &= ~MSG_FASTOPEN;
    done = static_cast<size_t>(sent);
  }
  if (done == 0) {
    const long sent =
        blocking_transfer(transfer, [&] { return or_full_elsewhere(transfer, attempt()); });
    if (sent == kFullElsewhere) {
      return send_by_pool_thread(SYS_sendmsg, transfer, reinterpret_cast<long>(message), flags, 0,
                                 0, 0);
    }
    const long first = tell_other_end(transfer, sent);
    if (first < 0 || transfer.facts.kind != FdKind::kStream) return first;
    done = static_cast<size_t>(first);
  }
  // A blocking send on a stream ends when everything is sent.
  msghdr header;
  IoVectors rest;
  if (copy_in(&header, message) != 0 ||
      rest.load(header.msg_iov, static_cast<long>(header.msg_iovlen)) != 0) {
    return static_cast<long>(done);
  }
  header.msg_control = nullptr;  // went with the first part
  header.msg_controllen = 0;
  while (done < rest.total()) {
    rest.skip_to(done);
    header.msg_iov = rest.data();
    header.msg_iovlen = static_cast<size_t>(rest.count());
    const long result = blocking_transfer(transfer, [&] {
      return rt::raw_syscall(SYS_sendmsg, transfer.fd, &header, flags | MSG_DONTWAIT);
    });
    tell_other_end(transfer, result);
    if (result <= 0)
      return result < 0 ? end_transfer(transfer, result, done) : static_cast<long>(done);
    done += static_cast<size_t>(result);
  }
  return static_cast<long>(done);
}

long sys_sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  // A count of none tells what is wrong with the descriptor, too.
  if (count == 0) return rt::raw_syscall(SYS_sendmmsg, fd, messages, count, flags);
  if (count > UIO_MAXIOV) count = UIO_MAXIOV;
  unsigned done = 0;
  for (; done < count; ++done) {
    const long result = sys_sendmsg(fd, &messages[done].msg_hdr, flags);
    if (result < 0) return done > 0 ? static_cast<long>(done) : result;
    if (copy_out(&messages[done].msg_len, static_cast<unsigned>(result)) != 0) return -EFAULT;
    current_thread()->trying = false;
  }
  return static_cast<long>(done);
}

// A local shutdown ends waits on the socket, also where the kernel signals no event (a sender on a
// Unix socket).
long sys_shutdown(Call& call) {
  const auto fd = static_cast<int>(call.arguments[0]);
  descriptors().stop_telling(fd);
  const long result = pass(call);
  rt::FdState* s = poller().state_if_known(fd);
  Facts facts;
  if (result != 0 || s == nullptr || descriptors().facts(fd, *s, &facts) != 0) return result;
  if (facts.maybe_duplicated) {
    poller().nudge_all();
  } else {
    poller().nudge(fd);
  }
  return result;
}

long sys_setsockopt(Call& call) {
  const long level = call.arguments[1];
  const long option = call.arguments[2];
  const bool limits = level == SOL_SOCKET && (option == SO_RCVTIMEO || option == SO_SNDTIMEO ||
                                              option == 66 /* …_NEW */ || option == 67);
  // Before, too: a connection that comes right after it has the limit, and is not to be taken for
  // one that has none.
  if (limits) descriptors().limits_changed(static_cast<int>(call.arguments[0]));
  const long result = pass(call);
  if (limits) descriptors().limits_changed(static_cast<int>(call.arguments[0]));
  if (level == IPPROTO_TCP && option == TCP_ULP) descriptors().protocol_added();
  if (level == IPPROTO_TCP && option == TCP_FASTOPEN_CONNECT) {
    descriptors().connect_put_off(static_cast<int>(call.arguments[0]));
  }
  return result;
}

}  // namespace tendril::kernel
