// read(2), write(2), readv(2), writev(2) and their positioned forms with flags
#include <sys/uio.h>

#include <cstring>

#include "interpose/kernel/blocking_io.hpp"
#include "interpose/kernel/connecting.hpp"
#include "interpose/kernel/io_vectors.hpp"
#include "interpose/kernel/job_control.hpp"
#include "interpose/kernel/proc_files.hpp"
#include "interpose/kernel/signal_descriptors.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "runtime/hub/offload.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

constexpr int kRwfNowait = 8;

// A descriptor whose transfers cannot be tried (a terminal, inotify): waits for readiness, then
// makes the call on a pool thread, since somebody else may have taken what there was.
long transfer_unnowaitable(Transfer& transfer, long number, const void* data, long size) noexcept {
  const bool reads = transfer.direction == rt::Direction::kRead;
  bool hung_up_meanwhile = false;
  for (bool has_waited = false;; has_waited = true) {
    const uint32_t seen = rt::Poller::edges(*transfer.state, transfer.direction);
    pollfd probe{transfer.fd, static_cast<short>(reads ? POLLIN : POLLOUT), 0};
    const timespec now{0, 0};
    const long ready = rt::raw_syscall_uninterrupted(SYS_ppoll, &probe, 1, &now, nullptr, 0);
    if (ready > 0) {
      hung_up_meanwhile = has_waited && (probe.revents & POLLHUP) != 0;
      break;
    }
    if (transfer.facts.kind == FdKind::kDevice && reads && reads_may_give_nothing(transfer.fd)) {
      break;
    }
    if (const long result = wait_for_readiness(transfer, seen); result != 0) return result;
  }
  if (current_thread()->trying) return -kWouldWait;
  const long result = rt::offload(number, transfer.fd, reinterpret_cast<long>(data), size, 0, 0, 0);
  if (result == -EPIPE) signals().raise_in_stead(SIGPIPE);
  if (result == 0 && reads && hung_up_meanwhile && is_pseudo_terminal(transfer.fd)) return -EIO;
  return result == -EINTR ? -kRestartSys : result;
}

// One attempt that does not block. RWF_NOWAIT works on sockets, pipes and most anonymous files.
long try_vectors(bool reading, int fd, const iovec* vectors, long count) noexcept {
  return rt::raw_syscall(reading ? SYS_preadv2 : SYS_pwritev2, fd, vectors, count, -1L, -1L,
                         kRwfNowait);
}

// A terminal that is not waited for has job control nevertheless.
bool is_never_waited_for(const Facts& facts) noexcept {
  return facts.kind == FdKind::kFile || (facts.nonblocking && facts.kind != FdKind::kDevice);
}

// Shows more than the kernel knows, also to who does not wait.
bool may_be_signal_descriptor(const Facts& facts) noexcept {
  return facts.kind == FdKind::kAnonymous && signals().has_signalfds();
}

// What every request of a server does, apart from what is rarer, so that its code and frames are
// short: both are cold when a thread wakes up.
long read_from_socket(Transfer& transfer, void* buffer, size_t count) noexcept {
  return blocking_transfer(
      transfer,
      [&] {
        return rt::raw_syscall(SYS_recvfrom, transfer.fd, buffer, count, transfer.dont_wait,
                               nullptr, nullptr);
      },
      Destination{buffer, count});
}

// A blocking write is done when everything is written: goes on after partial transfers. A failure
// after some bytes went reports the bytes.
template <typename TryRest>
long write_all(Transfer& transfer, size_t total, TryRest&& try_rest) noexcept {
  size_t done;
  if (!resume_transfer(transfer, &done)) return static_cast<long>(done);
  if (may_connect(transfer.facts, 0)) [[unlikely]] {
    const long sent = begin_connecting_send(transfer, 0, [&] { return try_rest(0); });
    if (sent < 0 || (sent > 0 && static_cast<size_t>(sent) >= total)) return sent;
    done = static_cast<size_t>(sent);
  }
  for (;;) {
    const long result = blocking_transfer(transfer, [&] { return try_rest(done); });
    if (result < 0) return end_transfer(transfer, result, done);
    done += static_cast<size_t>(result);
    tell_other_end(transfer, result);
    if (done >= total || result == 0) return static_cast<long>(done);
  }
}

long write_to_socket(Transfer& transfer, const void* data, size_t size) noexcept {
  const bool atomic = transfer.facts.kind == FdKind::kPacket;
  return write_all(transfer, atomic ? 0 : size, [&](size_t done) {
    return rt::raw_syscall(SYS_sendto, transfer.fd, static_cast<const char*>(data) + done,
                           size - done, MSG_DONTWAIT, nullptr, 0);
  });
}

// It waits until it could give something, even for a read of nothing; the other anonymous files say
// at once that this is too little.
bool is_inotify(int fd) noexcept { return is_file_named(fd, "anon_inode:inotify"); }

long read_or_native(int fd, const iovec* vectors, int count, long number, const void* data,
                    long size) noexcept {
  Transfer transfer;
  const auto native = [&] { return rt::raw_syscall_uninterrupted(number, fd, data, size); };
  if (begin_transfer(fd, rt::Direction::kRead, &transfer, Attempts::kNeverWait) != 0)
    return native();
  const Facts& facts = transfer.facts;
  if (facts.kind == FdKind::kFile) return native();
  const SignalWatch watch(facts.kind == FdKind::kAnonymous);
  if (may_be_signal_descriptor(facts)) {
    if (const long got = read_shown_signals(fd, vectors, count); got != 0) return got;
  }
  if (facts.kind == FdKind::kDevice) {
    if (const long refused = may_transfer(fd, /*reading=*/true); refused != 0) return refused;
  }
  if (facts.nonblocking) return native();
  if (size == 0 && !(facts.kind == FdKind::kAnonymous && number == SYS_read && is_inotify(fd))) {
    return native();
  }
  if (number == SYS_read && is_impossible_range(data, static_cast<size_t>(size))) return native();
  if (facts.no_nowait_read || size == 0) {
    return transfer_unnowaitable(transfer, number, data, size);
  }
  const long result = blocking_transfer(transfer, [&] {
    if (transfer.dont_wait != 0) return try_vectors(true, transfer.fd, vectors, count);
    return rt::raw_syscall_uninterrupted(number, transfer.fd, data, size);
  });
  if (result != -EOPNOTSUPP || is_blocking_socket(facts)) return result;
  descriptors().refuses_nowait(*transfer.state, rt::Direction::kRead);
  return transfer_unnowaitable(transfer, number, data, size);
}

[[gnu::noinline]] long read_elsewhere(int fd, void* buffer, size_t count) noexcept {
  const iovec vector{buffer, count};
  return read_or_native(fd, &vector, 1, SYS_read, buffer, static_cast<long>(count));
}

// The only anonymous file that is written to is an eventfd, and it refuses RWF_NOWAIT. While it is
// writable a small number goes in at once; whatever else (a full counter, an argument that is an
// error) is the kernel's business, on a pool thread. One that only very small numbers were added to
// is writable: it would take ten years of that.
long write_eventfd(Transfer& transfer, long number, const void* data, long size) noexcept {
  constexpr uint64_t kSmall = uint64_t{1} << 32;
  constexpr uint64_t kVerySmall = uint64_t{1} << 16;
  uint64_t value;
  if (number == SYS_write && size < static_cast<long>(sizeof value)) {  // an error
    return rt::raw_syscall(number, transfer.fd, data, size);
  }
  const auto is_writable = [&] {
    pollfd probe{transfer.fd, POLLOUT, 0};
    const timespec now{0, 0};
    return rt::raw_syscall_uninterrupted(SYS_ppoll, &probe, 1, &now, nullptr, 0) > 0;
  };
  if (number == SYS_write && size == sizeof value && copy_in(&value, data) == 0) {
    const Facts& facts = transfer.facts;
    const bool has_small_sum =
        facts.small_sums && !facts.shared_outside && !facts.maybe_duplicated && value < kVerySmall;
    if (has_small_sum || (value < kSmall && is_writable())) {
      return rt::raw_syscall(number, transfer.fd, data, size);
    }
  }
  descriptors().has_large_sum(*transfer.state);
  if (current_thread()->trying) return -kWouldWait;
  const long result = rt::offload(number, transfer.fd, reinterpret_cast<long>(data), size, 0, 0, 0);
  return result == -EINTR ? -kRestartSys : result;
}

long write_or_native(int fd, const iovec* vectors, int count, long number, const void* data,
                     long size) noexcept {
  Transfer transfer;
  const auto native = [&] { return rt::raw_syscall_uninterrupted(number, fd, data, size); };
  if (begin_transfer(fd, rt::Direction::kWrite, &transfer, Attempts::kNeverWait) != 0)
    return begun_or(native);
  const Facts& facts = transfer.facts;
  if (facts.kind == FdKind::kDevice) {
    if (const long refused = may_transfer(fd, /*reading=*/false); refused != 0) return refused;
  }
  if (facts.nonblocking || facts.kind == FdKind::kFile) {
    return begun_or([&] { return tell_other_end(transfer, native()); });
  }
  if (number == SYS_write && is_impossible_range(data, static_cast<size_t>(size))) return native();
  if (facts.kind == FdKind::kAnonymous) {
    return begun_or(
        [&] { return tell_other_end(transfer, write_eventfd(transfer, number, data, size)); });
  }
  if (facts.no_nowait_write) {
    return begun_or([&] {
      return tell_other_end(transfer, transfer_unnowaitable(transfer, number, data, size));
    });
  }
  // Vectors are looked at once: the program may not change them while we wait, but it might.
  IoVectors rest;
  size_t total = static_cast<size_t>(size);
  if (number == SYS_writev) {
    if (rest.load(vectors, count) != 0) return native();  // it fails at once, with the right error
    total = rest.total();
  }
  const bool atomic = facts.kind == FdKind::kPacket;
  const long result = write_all(transfer, atomic ? 0 : total, [&](size_t done) {
    if (number == SYS_writev) {
      rest.skip_to(done);
      return try_vectors(false, transfer.fd, rest.data(), rest.count());
    }
    iovec vector{const_cast<char*>(static_cast<const char*>(data)) + done, total - done};
    return try_vectors(false, transfer.fd, &vector, 1);
  });
  if (result != -EOPNOTSUPP || is_blocking_socket(facts)) return result;
  descriptors().refuses_nowait(*transfer.state, rt::Direction::kWrite);
  return tell_other_end(transfer, transfer_unnowaitable(transfer, number, data, size));
}

}  // namespace

long sys_read(int fd, void* buffer, size_t count) {
  Transfer transfer;
  const auto native = [&] { return rt::raw_syscall_uninterrupted(SYS_read, fd, buffer, count); };
  if (begin_transfer(fd, rt::Direction::kRead, &transfer, Attempts::kNeverWait) != 0) {
    return native();
  }
  if (is_never_waited_for(transfer.facts) && !may_be_signal_descriptor(transfer.facts)) {
    return noting_end(fd, Destination{buffer, count}, native);
  }
  if (is_blocking_socket(transfer.facts) && count != 0 && !is_impossible_range(buffer, count)) {
    return read_from_socket(transfer, buffer, count);
  }
  return read_elsewhere(fd, buffer, count);
}

long sys_write(int fd, const void* buffer, size_t count) {
  Transfer transfer;
  const auto native = [&] { return rt::raw_syscall_uninterrupted(SYS_write, fd, buffer, count); };
  if (begin_transfer(fd, rt::Direction::kWrite, &transfer, Attempts::kNeverWait) != 0) {
    return begun_or(native);
  }
  if (is_never_waited_for(transfer.facts)) {
    return begun_or([&] { return tell_other_end(transfer, native()); });
  }
  if (is_blocking_socket(transfer.facts) && !is_impossible_range(buffer, count)) {
    return write_to_socket(transfer, buffer, count);
  }
  return write_or_native(fd, nullptr, 0, SYS_write, buffer, static_cast<long>(count));
}

long sys_readv(int fd, const iovec* vectors, int count) {
  return read_or_native(fd, vectors, count, SYS_readv, vectors, count);
}

long sys_writev(int fd, const iovec* vectors, int count) {
  return write_or_native(fd, vectors, count, SYS_writev, vectors, count);
}

// With an offset these are for files, which do not wait; without one they are readv and writev.
long sys_preadv2(Call& call) {
  const bool at_position = call.arguments[3] == -1 && call.arguments[5] == 0;
  if (!at_position) return pass(call);
  return sys_readv(static_cast<int>(call.arguments[0]),
                   reinterpret_cast<const iovec*>(call.arguments[1]),
                   static_cast<int>(call.arguments[2]));
}

long sys_pwritev2(Call& call) {
  const bool at_position = call.arguments[3] == -1 && call.arguments[5] == 0;
  if (!at_position) return tell_other_end_of(static_cast<int>(call.arguments[0]), pass(call));
  return sys_writev(static_cast<int>(call.arguments[0]),
                    reinterpret_cast<const iovec*>(call.arguments[1]),
                    static_cast<int>(call.arguments[2]));
}

}  // namespace tendril::kernel
