// splice(2), tee(2), vmsplice(2)
#include <fcntl.h>

#include <algorithm>
#include <climits>

#include "interpose/kernel/blocking_io.hpp"
#include "interpose/kernel/nonblocking_moment.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "runtime/hub/offload.hpp"

namespace tendril::kernel {
namespace {

constexpr size_t kMostEnds = 2;
constexpr long kOtherEnd = LONG_MAX;   // no result of any call: this end is not what is waited for
constexpr int kFruitlessAttempts = 3;  // where all ends say that they are ready

// A call that moves data between two ends, of which a pipe is at least one.
struct Move {
  Move(const Call& original, size_t its_flags) noexcept : call(original), flags(its_flags) {}

  Call call;
  size_t flags;  // which of its arguments they are
  size_t count = 0;
  Transfer ends[kMostEnds];
  size_t numbers[kMostEnds];                  // which arguments they are
  const Transfer* blocking_socket = nullptr;  // among the ends: it goes by its own flag
  bool kernel_decides = false;                // whether a call that finds nothing waits
};

long offload_call(const Call& call) noexcept {
  const long* a = call.arguments;
  const long result = rt::offload(call.number, a[0], a[1], a[2], a[3], a[4], a[5]);
  if (result == -EPIPE) signals().raise_in_stead(SIGPIPE);
  return result == -EINTR ? -kRestartSys : result;
}

// With SPLICE_F_NONBLOCK.
bool never_waits(int fd) noexcept {
  rt::FdState* s = descriptors().state(fd);
  Facts facts;
  return s == nullptr || descriptors().facts(fd, *s, &facts) != 0 || facts.nonblocking ||
         facts.kind == FdKind::kPipe || facts.kind == FdKind::kFile;
}

// False if nothing can be tried with it that is sure not to wait.
bool add_end(Move& move, size_t number, rt::Direction direction) noexcept {
  Transfer& end = move.ends[move.count];
  if (begin_transfer(static_cast<int>(move.call.arguments[number]), direction, &end) != 0) {
    return false;
  }
  move.numbers[move.count++] = number;
  const Facts& facts = end.facts;
  if (facts.kind == FdKind::kFile) return true;
  if (facts.nonblocking) {
    move.kernel_decides = true;  // it depends on the call whose flag counts
  } else if (facts.kind == FdKind::kStream) {
    move.blocking_socket = &end;
    return !facts.shared_outside && !facts.puts_off_connect;
  }
  return facts.kind == FdKind::kPipe || facts.kind == FdKind::kStream;
}

// The ends go by other numbers when theirs have been closed meanwhile. 0 or the result of the call.
long keep_up(Move& move) noexcept {
  for (size_t i = 0; i < move.count; ++i) {
    if (const long closed = keep_up(move.ends[i]); closed != 0) return closed;
    move.call.arguments[move.numbers[i]] = move.ends[i].fd;
  }
  return 0;
}

long hold(Move& move) noexcept {
  long result = 0;
  for (size_t i = 0; i < move.count && result == 0; ++i) result = hold(move.ends[i]);
  return result;
}

// With SPLICE_F_NONBLOCK, which is for pipes.
long call_kernel(const Move& move) noexcept {
  long a[6];
  std::copy_n(move.call.arguments, 6, a);
  a[move.flags] |= SPLICE_F_NONBLOCK;
  return rt::raw_syscall_uninterrupted(move.call.number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

long try_once(Move& move) noexcept {
  if (const long closed = keep_up(move); closed != 0) return closed;
  if (move.blocking_socket == nullptr) return call_kernel(move);
  const NonblockingMoment moment(move.blocking_socket->fd, move.blocking_socket->facts);
  return call_kernel(move);
}

bool is_ready(const Transfer& end) noexcept {
  const bool reads = end.direction == rt::Direction::kRead;
  pollfd probe{end.fd, static_cast<short>(reads ? POLLIN : POLLOUT), 0};
  const timespec now{0, 0};
  return rt::raw_syscall_uninterrupted(SYS_ppoll, &probe, 1, &now, nullptr, 0) > 0;
}

Transfer* end_to_wait_for(Move& move) noexcept {
  for (size_t i = 0; i < move.count; ++i) {
    Transfer& end = move.ends[i];
    if (end.facts.kind != FdKind::kFile && !is_ready(end)) return &end;
  }
  return nullptr;
}

// kOtherEnd: it is none of the ends that it waits for, or nobody knows whether it does.
long move_some(Move& move) noexcept {
  for (int fruitless = 0; fruitless < kFruitlessAttempts;) {
    long result = try_once(move);
    if (result != -EAGAIN) return result;
    if (move.kernel_decides) break;
    Transfer* end = end_to_wait_for(move);
    if (end == nullptr) {
      ++fruitless;
      continue;
    }
    if (result = hold(move); result != 0) return result;
    result = blocking_transfer(*end, [&] {
      const long tried = try_once(move);
      return tried == -EAGAIN && is_ready(*end) ? kOtherEnd : tried;
    });
    if (result != kOtherEnd) return result;
  }
  return kOtherEnd;
}

long carry_out(Move& move) noexcept {
  const long result = move_some(move);
  return result == kOtherEnd ? offload_call(move.call) : result;
}

// A blocking socket takes all that the pipe has, however long that takes.
long send_all(Move& move) noexcept {
  constexpr size_t kSize = 4;
  const Transfer& pipe = move.ends[0];
  const long total = move.call.arguments[kSize];
  long done = 0;
  for (;;) {
    const long result = carry_out(move);
    if (result <= 0) return end_transfer(pipe, result, static_cast<size_t>(done));
    done += result;
    if (done >= total || !is_ready(pipe)) return done;
    move.call.arguments[kSize] = total - done;
  }
}

}  // namespace

// Told not to wait, and nothing else that would: the kernel's at once. What cannot be tried without
// waiting is for a pool thread.
long sys_splice(Call& call) {
  constexpr size_t kFlags = 5;
  const long* a = call.arguments;  // in, offset, out, offset, count, flags
  const auto in = static_cast<int>(a[0]);
  const auto out = static_cast<int>(a[2]);
  descriptors().stop_telling(out);
  if ((a[kFlags] & SPLICE_F_NONBLOCK) != 0) {
    return never_waits(in) && never_waits(out) ? pass(call) : offload_call(call);
  }
  Move move(call, kFlags);
  const bool can_be_tried =
      add_end(move, 0, rt::Direction::kRead) && add_end(move, 2, rt::Direction::kWrite);
  if (!can_be_tried) return offload_call(call);
  return move.blocking_socket == &move.ends[1] ? send_all(move) : carry_out(move);
}

long sys_tee(Call& call) {
  constexpr size_t kFlags = 3;
  const long* a = call.arguments;  // in, out, count, flags
  descriptors().stop_telling(static_cast<int>(a[1]));
  if ((a[kFlags] & SPLICE_F_NONBLOCK) != 0) return pass(call);
  Move move(call, kFlags);
  const bool can_be_tried =
      add_end(move, 0, rt::Direction::kRead) && add_end(move, 1, rt::Direction::kWrite);
  return can_be_tried ? carry_out(move) : offload_call(call);
}

long sys_vmsplice(Call& call) {
  constexpr size_t kFlags = 3;
  const long* a = call.arguments;  // pipe, vectors, count, flags
  descriptors().stop_telling(static_cast<int>(a[0]));
  if ((a[kFlags] & SPLICE_F_NONBLOCK) != 0) return pass(call);
  Move move(call, kFlags);
  const long now = try_once(move);
  if (now != -EAGAIN) return now;
  const auto fd = static_cast<int>(a[0]);
  const long mode = rt::raw_syscall(SYS_fcntl, fd, F_GETFL);
  if (mode < 0) return mode;
  // The kernel asks whether it can be written to first.
  const auto direction =
      (mode & O_ACCMODE) == O_RDONLY ? rt::Direction::kRead : rt::Direction::kWrite;
  return add_end(move, 0, direction) ? carry_out(move) : offload_call(call);
}

}  // namespace tendril::kernel
