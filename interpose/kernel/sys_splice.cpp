// splice(2), tee(2), vmsplice(2)
#include <fcntl.h>

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

// A call that moves data between two ends, of which a pipe is at least one. What has to be waited
// for are the pipes and sockets among them.
struct Move {
  Call attempt;  // with SPLICE_F_NONBLOCK, which is for pipes
  size_t count = 0;
  Transfer ends[kMostEnds];
  const Transfer* socket = nullptr;  // among the ends: it goes by its own flag
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

// False if nothing can be tried with it that is sure not to wait, or if the call is not to wait.
bool add_end(Move& move, int fd, rt::Direction direction) noexcept {
  Transfer& end = move.ends[move.count];
  if (begin_transfer(fd, direction, &end) != 0) return false;
  switch (end.facts.kind) {
    case FdKind::kFile:
      return true;
    case FdKind::kPipe:
      ++move.count;
      return !end.facts.nonblocking;
    case FdKind::kStream:
      ++move.count;
      move.socket = &end;
      return !end.facts.nonblocking && !end.facts.shared_outside && !end.facts.puts_off_connect;
    default:
      return false;
  }
}

long call_kernel(const Move& move) noexcept {
  const long* a = move.attempt.arguments;
  return rt::raw_syscall_uninterrupted(move.attempt.number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

long try_once(const Move& move) noexcept {
  if (move.socket == nullptr) return call_kernel(move);
  const NonblockingMoment moment(move.socket->fd, move.socket->facts);
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
    if (!is_ready(move.ends[i])) return &move.ends[i];
  }
  return nullptr;
}

// kOtherEnd: it is none of the ends that it waits for.
long carry_out(Move& move) noexcept {
  for (int fruitless = 0; fruitless < kFruitlessAttempts;) {
    long result = try_once(move);
    if (result != -EAGAIN) return result;
    Transfer* end = end_to_wait_for(move);
    if (end == nullptr) {
      ++fruitless;
      continue;
    }
    result = blocking_transfer(*end, [&] {
      const long tried = try_once(move);
      return tried == -EAGAIN && is_ready(*end) ? kOtherEnd : tried;
    });
    if (result != kOtherEnd) return result;
  }
  return kOtherEnd;
}

long carry_out_or_offload(Move& move, const Call& call) noexcept {
  const long result = carry_out(move);
  return result == kOtherEnd ? offload_call(call) : result;
}

void prepare(Move& move, const Call& call, size_t flags) noexcept {
  move.attempt = call;
  move.attempt.arguments[flags] |= SPLICE_F_NONBLOCK;
}

}  // namespace

// Told not to wait, and nothing else that would: the kernel's at once. What cannot be tried without
// waiting is for a pool thread.
long sys_splice(Call& call) {
  constexpr size_t kFlags = 5;
  const long* a = call.arguments;  // in, offset, out, offset, count, flags
  const auto in = static_cast<int>(a[0]);
  const auto out = static_cast<int>(a[2]);
  if ((a[kFlags] & SPLICE_F_NONBLOCK) != 0) {
    return never_waits(in) && never_waits(out) ? pass(call) : offload_call(call);
  }
  Move move;
  prepare(move, call, kFlags);
  const bool can_be_tried =
      add_end(move, in, rt::Direction::kRead) && add_end(move, out, rt::Direction::kWrite);
  return can_be_tried ? carry_out_or_offload(move, call) : offload_call(call);
}

long sys_tee(Call& call) {
  constexpr size_t kFlags = 3;
  const long* a = call.arguments;  // in, out, count, flags
  if ((a[kFlags] & SPLICE_F_NONBLOCK) != 0) return pass(call);
  Move move;
  prepare(move, call, kFlags);
  const bool can_be_tried = add_end(move, static_cast<int>(a[0]), rt::Direction::kRead) &&
                            add_end(move, static_cast<int>(a[1]), rt::Direction::kWrite);
  return can_be_tried ? carry_out_or_offload(move, call) : offload_call(call);
}

long sys_vmsplice(Call& call) {
  constexpr size_t kFlags = 3;
  const long* a = call.arguments;  // pipe, vectors, count, flags
  if ((a[kFlags] & SPLICE_F_NONBLOCK) != 0) return pass(call);
  Move move;
  prepare(move, call, kFlags);
  const long now = try_once(move);
  if (now != -EAGAIN) return now;
  const auto fd = static_cast<int>(a[0]);
  const long mode = rt::raw_syscall(SYS_fcntl, fd, F_GETFL);
  if (mode < 0) return mode;
  // The kernel asks whether it can be written to first.
  const auto direction =
      (mode & O_ACCMODE) == O_RDONLY ? rt::Direction::kRead : rt::Direction::kWrite;
  return add_end(move, fd, direction) ? carry_out_or_offload(move, call) : offload_call(call);
}

}  // namespace tendril::kernel
