// close(2), dup*(2), fcntl(2), ioctl(2), open*(2) and the calls that make descriptors
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>

#include <cerrno>

#include "interpose/kernel/descriptors.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/job_control.hpp"
#include "interpose/kernel/restart.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "runtime/hub/hidden_descriptors.hpp"
#include "runtime/hub/offload.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

long offload_call(const Call& call) noexcept {
  const long* a = call.arguments;
  const long result = rt::offload(call.number, a[0], a[1], a[2], a[3], a[4], a[5]);
  return result == -EINTR ? -kRestartSys : result;
}

long note_new(long result, const NewFile& file = {}) noexcept {
  if (result >= 0) descriptors().created(static_cast<int>(result), /*shared_outside=*/false, file);
  return result;
}

NewFile socket_of_type(int type) noexcept {
  constexpr int kFlags = SOCK_NONBLOCK | SOCK_CLOEXEC;
  const bool is_stream = (type & ~kFlags) == SOCK_STREAM;
  return {is_stream ? FdKind::kStream : FdKind::kPacket, (type & SOCK_NONBLOCK) != 0};
}

// What the arguments of a call that makes a descriptor, or two, say about it.
NewFile described_by(const Call& call) noexcept {
  const long* a = call.arguments;
  switch (call.number) {
    case SYS_socket:
    case SYS_socketpair:
      return socket_of_type(static_cast<int>(a[1]));  // of which Linux takes the low half
    case SYS_pipe:
      return {FdKind::kPipe};
    case SYS_pipe2:
      return {FdKind::kPipe, (a[1] & O_NONBLOCK) != 0};
    case SYS_eventfd:
      return {.kind = FdKind::kAnonymous, .is_eventfd = true};
    case SYS_eventfd2:
      return {
          .kind = FdKind::kAnonymous, .nonblocking = (a[1] & O_NONBLOCK) != 0, .is_eventfd = true};
    case SYS_epoll_create:
    case SYS_epoll_create1:
    case SYS_inotify_init:
      return {FdKind::kAnonymous};
    case SYS_timerfd_create:
      return {FdKind::kAnonymous, (a[1] & O_NONBLOCK) != 0};
    case SYS_inotify_init1:
      return {FdKind::kAnonymous, (a[0] & O_NONBLOCK) != 0};
    default:
      return {};
  }
}

long duplicate(int fd, int wanted, int flags, bool same_is_error) noexcept {
  if (rt::is_hidden_descriptor(fd) || rt::is_hidden_descriptor(wanted)) return -EBADF;
  if (fd == wanted) {
    if (same_is_error) return -EINVAL;
    const long open = rt::raw_syscall(SYS_fcntl, fd, F_GETFD);
    return open < 0 ? open : wanted;
  }
  // Only a call that will succeed may disturb those who wait on the old file.
  if (rt::raw_syscall(SYS_fcntl, fd, F_GETFD) >= 0 && wanted >= 0) descriptors().closing(wanted);
  const long result = rt::raw_syscall(SYS_dup3, fd, wanted, flags);
  if (result >= 0) descriptors().duplicated(fd, wanted);
  return result;
}

// All of them, before the first is closed: some of their files may get hidden numbers.
void note_closing(unsigned first, unsigned last) noexcept {
  constexpr unsigned kMostKnown = 1 << 20;
  for (unsigned fd = first; fd <= last && fd <= kMostKnown; ++fd) {
    const auto number = static_cast<int>(fd);
    if (poller().state_if_known(number) == nullptr) {
      fd |= 511;  // no state for this stretch of numbers
    } else if (!rt::is_hidden_descriptor(number)) {
      descriptors().closing(number);
    }
  }
}

constexpr unsigned kTtyMajor = 4;  // serial lines wait for the carrier

// Opening one end of a FIFO waits for the other; everything else opens at once (disk aside).
long open_file(const Call& call, int directory, const char* path, int flags) noexcept {
  struct stat status;
  // A FIFO is no directory, and what is certain to be new is a regular file.
  const bool never_waits = (flags & (O_NONBLOCK | O_PATH | O_DIRECTORY)) != 0 ||
                           (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
  const bool known =
      !never_waits && rt::raw_syscall(SYS_newfstatat, directory, path, &status, 0) == 0;
  const bool may_wait = known && (S_ISFIFO(status.st_mode) ||
                                  (S_ISCHR(status.st_mode) && major(status.st_rdev) == kTtyMajor));
  const long result = may_wait ? offload_call(call) : pass(call);
  if (result >= 0) {
    // Somebody may have put a FIFO there meanwhile. Then the worker stands still in a call on it,
    // as it may have in this one, and the watchdog has another stand in.
    const bool is_file = known && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode));
    descriptors().created(static_cast<int>(result), /*shared_outside=*/may_wait,
                          {is_file ? FdKind::kFile : FdKind::kUnknown});
  }
  return result;
}

}  // namespace

long sys_close(int fd) {
  if (rt::is_hidden_descriptor(fd)) return -EBADF;
  return descriptors().close(fd);
}

long sys_close_range(unsigned first, unsigned last, unsigned flags) {
  if ((flags & ~static_cast<unsigned>(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) != 0 ||
      first > last) {
    return -EINVAL;
  }
  if ((flags & CLOSE_RANGE_CLOEXEC) == 0) note_closing(first, last);
  // Around our own descriptors, in pieces.
  for (unsigned from = first; from <= last;) {
    const int next = rt::next_hidden_descriptor(from);
    const bool found = next >= 0 && static_cast<unsigned>(next) <= last;
    const unsigned hidden = found ? static_cast<unsigned>(next) : last;
    if (!found || hidden > from) {
      const unsigned end = found ? hidden - 1 : last;
      const long result = rt::raw_syscall(SYS_close_range, from, end, flags);
      if (result < 0) return result;
    }
    if (hidden == last) break;
    from = hidden + 1;
  }
  return 0;
}

long sys_dup(int fd) {
  if (rt::is_hidden_descriptor(fd)) return -EBADF;
  const long result = note_new(rt::raw_syscall(SYS_dup, fd));
  if (result >= 0) descriptors().duplicated(fd, static_cast<int>(result));
  return result;
}

long sys_dup2(int fd, int wanted) { return duplicate(fd, wanted, 0, false); }

long sys_dup3(int fd, int wanted, int flags) { return duplicate(fd, wanted, flags, true); }

long sys_fcntl(int fd, int command, long argument) {
  if (rt::is_hidden_descriptor(fd)) return -EBADF;
  const auto native = [&] { return rt::raw_syscall(SYS_fcntl, fd, command, argument); };
  switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC: {
      const long result = note_new(native());
      if (result >= 0) descriptors().duplicated(fd, static_cast<int>(result));
      return result;
    }
    case F_SETFL: {
      const long result = native();
      if (result == 0) descriptors().set_nonblocking(fd, (argument & O_NONBLOCK) != 0);
      return result;
    }
    case F_SETLKW:
    case F_OFD_SETLKW: {
      // Record locks belong to the process, so a pool thread may wait for one on our behalf.
      const int at_once = command == F_SETLKW ? F_SETLK : F_OFD_SETLK;
      const long tried = rt::raw_syscall(SYS_fcntl, fd, at_once, argument);
      if (tried != -EAGAIN && tried != -EACCES) return tried;
      const long result = rt::offload(SYS_fcntl, fd, command, argument, 0, 0, 0);
      return result == -EINTR ? -kRestartSys : result;
    }
    default:
      return native();
  }
}

long sys_ioctl(int fd, unsigned long request, long argument) {
  if (rt::is_hidden_descriptor(fd)) return -EBADF;
  const long waits_for_drain = request == TCSBRK && argument != 0;
  if (waits_for_drain != 0 || request == TCSETSW || request == TCSETSF) {
    if (const long refused = may_change_terminal(fd); refused != 0) return refused;
    const long result = rt::offload(SYS_ioctl, fd, static_cast<long>(request), argument, 0, 0, 0);
    return result == -EINTR ? -kRestartSys : result;
  }
  if (_IOC_TYPE(request) == 'T' && request != FIONBIO) return terminal_ioctl(fd, request, argument);
  const long result = rt::raw_syscall(SYS_ioctl, fd, request, argument);
  if (request == FIONBIO && result == 0) {
    int value = 0;
    if (copy_in(&value, reinterpret_cast<const void*>(argument)) == 0) {
      descriptors().set_nonblocking(fd, value != 0);
    }
  }
  return result;
}

long sys_open(Call& call) {
  return open_file(call, AT_FDCWD, reinterpret_cast<const char*>(call.arguments[0]),
                   static_cast<int>(call.arguments[1]));
}

long sys_openat(Call& call) {
  return open_file(call, static_cast<int>(call.arguments[0]),
                   reinterpret_cast<const char*>(call.arguments[1]),
                   static_cast<int>(call.arguments[2]));
}

long sys_openat2(Call& call) {
  uint64_t flags = O_NONBLOCK;  // a bad pointer: the kernel will say so
  copy_in(&flags, reinterpret_cast<const void*>(call.arguments[2]));
  return open_file(call, static_cast<int>(call.arguments[0]),
                   reinterpret_cast<const char*>(call.arguments[1]), static_cast<int>(flags));
}

long sys_creat(Call& call) {
  return open_file(call, AT_FDCWD, reinterpret_cast<const char*>(call.arguments[0]), O_WRONLY);
}

long sys_new_descriptor(Call& call) {
  const NewFile file = described_by(call);
  const long result = note_new(pass(call), file);
  if (result >= 0 && file.is_eventfd) {
    descriptors().joined(static_cast<int>(result), static_cast<int>(result));
  }
  return result;
}

long sys_pidfd_getfd(Call& call) {
  const long result = pass(call);
  if (result >= 0) descriptors().created(static_cast<int>(result), /*shared_outside=*/true);
  return result;
}

long sys_new_pair(Call& call) {
  const long result = pass(call);
  if (result != 0) return result;
  const bool socket = call.number == SYS_socketpair;
  int pair[2];
  if (copy_in(&pair, reinterpret_cast<const void*>(call.arguments[socket ? 3 : 0])) == 0) {
    note_new(pair[0], described_by(call));
    note_new(pair[1], described_by(call));
    descriptors().joined(pair[1], pair[0]);
    if (socket) descriptors().joined(pair[0], pair[1]);
  }
  return result;
}

}  // namespace tendril::kernel
