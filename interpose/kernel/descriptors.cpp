#include "interpose/kernel/descriptors.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>

#include <cerrno>

#include "interpose/kernel/found_ends.hpp"
#include "interpose/kernel/proc_files.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "runtime/hub/hidden_descriptors.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

// FdState::facts, as struct Facts:
//   | outside 16 | epoch 16 | flags 24 | kind 8 |
enum : uint64_t {
  kNonblocking = 1 << 8,
  kSharedOutside = 1 << 9,
  kMaybeDuplicated = 1 << 10,
  kReadLimit = 1 << 11,
  kWriteLimit = 1 << 12,
  kNoNowaitRead = 1 << 13,
  kNoNowaitWrite = 1 << 14,
  kOriginKnown = 1 << 15,
  kExamined = 1 << 16,
  kDuplicated = 1 << 17,
  kPutsOffConnect = 1 << 18,
  kHadLimit = 1 << 19,
  kListens = 1 << 20,
  kUnconfirmed = 1 << 21,
  kTellsOtherEnd = 1 << 22,
  kSmallSums = 1 << 23,
};
constexpr int kEpochShift = 32;
constexpr int kOutsideShift = 48;

constexpr Facts unpack(uint64_t word) noexcept { return std::bit_cast<Facts>(word); }
#if !defined(__clang__)  // which cannot cast bit-fields in constant expressions
static_assert(unpack(kNonblocking).nonblocking && unpack(kSharedOutside).shared_outside &&
              unpack(kMaybeDuplicated).maybe_duplicated && unpack(kReadLimit).read_limit &&
              unpack(kWriteLimit).write_limit && unpack(kNoNowaitRead).no_nowait_read &&
              unpack(kNoNowaitWrite).no_nowait_write && unpack(kOriginKnown).origin_known &&
              unpack(kExamined).examined && unpack(kDuplicated).duplicated &&
              unpack(kPutsOffConnect).puts_off_connect && unpack(kHadLimit).had_limit &&
              unpack(kListens).listens && unpack(kUnconfirmed).unconfirmed &&
              unpack(kTellsOtherEnd).tells_other_end && unpack(kSmallSums).small_sums &&
              unpack(uint64_t{1} << kEpochShift).epoch == 1 &&
              unpack(uint64_t{1} << kOutsideShift).outside == 1);
#endif

constexpr uint64_t with_stamps(uint64_t flags, uint16_t epoch, uint16_t outside) noexcept {
  return (flags & 0xffffffff) | uint64_t{epoch} << kEpochShift | uint64_t{outside} << kOutsideShift;
}

constexpr int kInheritedBits = 1024;
uint64_t inherited[kInheritedBits / 64];
bool inherited_unknown = false;
std::atomic<bool> child_made{false};
constinit FoundEnds found_ends;

bool was_inherited(int fd) noexcept {
  if (inherited_unknown || fd >= kInheritedBits) return inherited_unknown;
  return (inherited[fd / 64] >> (fd % 64) & 1) != 0;
}

FdKind kind_of(int fd, struct stat& status) noexcept {
  if (rt::raw_syscall(SYS_fstat, fd, &status) != 0) return FdKind::kUnknown;
  switch (status.st_mode & S_IFMT) {
    case S_IFSOCK: {
      int type = 0;
      socklen_t size = sizeof type;
      rt::raw_syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &size);
      return type == SOCK_STREAM ? FdKind::kStream : FdKind::kPacket;
    }
    case S_IFIFO:
      return FdKind::kPipe;
    case S_IFREG:
    case S_IFDIR:
    case S_IFBLK:
      return FdKind::kFile;
    case S_IFCHR: {
      // null, zero, full, random and urandom never wait for long.
      constexpr unsigned kMemoryDevices = 1;
      return major(status.st_rdev) == kMemoryDevices ? FdKind::kFile : FdKind::kDevice;
    }
    default:
      return FdKind::kAnonymous;
  }
}

timeval limit_option(int fd, int option) noexcept {
  timeval limit{};
  socklen_t size = sizeof limit;
  rt::raw_syscall(SYS_getsockopt, fd, SOL_SOCKET, option, &limit, &size);
  return limit;
}

bool puts_off_connect(int fd) noexcept {
  int value = 0;
  socklen_t size = sizeof value;
  rt::raw_syscall(SYS_getsockopt, fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &value, &size);
  return value != 0;
}

bool has_limit(int fd, int option) noexcept {
  const timeval limit = limit_option(fd, option);
  return limit.tv_sec != 0 || limit.tv_usec != 0;
}

}  // namespace

constinit DescriptorTable the_descriptors;

DescriptorTable::Found DescriptorTable::find_out(int fd, rt::FdState& s) noexcept {
  const uint64_t before = s.facts.load(std::memory_order_acquire);
  uint64_t word = before;
  const uint16_t epoch = epoch_.load(std::memory_order_acquire);
  const uint16_t outside = outside_.load(std::memory_order_acquire);
  const bool origin_known = (word & kOriginKnown) != 0;
  if (!origin_known) {
    // Made before we looked, or by a call that is not tracked.
    word |= kOriginKnown | kMaybeDuplicated;
    if (child_made.load(std::memory_order_relaxed) || was_inherited(fd)) word |= kSharedOutside;
    word = with_stamps(word, epoch, outside);
  } else if (static_cast<uint16_t>(word >> kOutsideShift) != outside) {
    word |= kSharedOutside;
  }
  const bool stale =
      (word & kMaybeDuplicated) != 0 && static_cast<uint16_t>(word >> kEpochShift) != epoch;
  if ((word & kExamined) == 0 || stale || (word & kSharedOutside) != 0) {
    struct stat status {};
    auto kind = static_cast<FdKind>(word & 0xff);
    if (kind == FdKind::kUnknown) {
      kind = kind_of(fd, status);
      if (kind == FdKind::kUnknown) return {-EBADF, {}};
      word |= static_cast<uint8_t>(kind);
    }
    long flags = 0;  // a file does not wait, whatever they are
    if (kind != FdKind::kFile) flags = rt::raw_syscall(SYS_fcntl, fd, F_GETFL);
    if (flags < 0) return {flags, {}};
    word &= ~uint64_t{kNonblocking | kReadLimit | kWriteLimit | kListens};
    if ((flags & O_NONBLOCK) != 0) word |= kNonblocking;
    if (kind == FdKind::kStream || kind == FdKind::kPacket) {
      if (has_limit(fd, SO_RCVTIMEO)) word |= kReadLimit;
      if (has_limit(fd, SO_SNDTIMEO)) word |= kWriteLimit;
      if ((word & (kReadLimit | kWriteLimit)) != 0) word |= kHadLimit;
    }
    // Most are made here, by a process that does not do that, and need not be asked.
    const bool comes_from_elsewhere =
        (word & kExamined) == 0 && (!origin_known || (word & kSharedOutside) != 0);
    if (kind == FdKind::kStream &&
        (comes_from_elsewhere || connects_put_off_.load(std::memory_order_relaxed))) {
      word &= ~uint64_t{kPutsOffConnect};
      if (puts_off_connect(fd)) word |= kPutsOffConnect;
    }
    word = with_stamps(word | kExamined, epoch, outside);
    // If somebody has reported a change meanwhile, the answer holds for this call only.
    uint64_t expected = before;
    s.facts.compare_exchange_strong(expected, word, std::memory_order_acq_rel);
    if (!origin_known && (word & kSharedOutside) == 0) {
      if (kind == FdKind::kPipe) find_other_end(fd, s, status, static_cast<int>(flags));
      if (kind == FdKind::kAnonymous && is_file_named(fd, "anon_inode:[eventfd]")) joined(fd, fd);
    }
  }
  return {0, unpack(word)};
}

void DescriptorTable::find_other_end(int fd, const rt::FdState& s, const struct stat& status,
                                     int flags) noexcept {
  const int mode = flags & O_ACCMODE;
  if (mode == O_RDWR) return;
  const FoundEnds::Ends ends = found_ends.found(fd, s, status, mode == O_RDONLY);
  if (ends.complete()) joined(ends.writer, ends.reader);
}

void DescriptorTable::created(int fd, bool shared_outside, const NewFile& file) noexcept {
  rt::FdState* s = state(fd);
  if (s == nullptr) return;
  poller().begin_anew(fd, file.rest);
  uint64_t word = kOriginKnown | (shared_outside ? uint64_t{kSharedOutside} : 0);
  if (file.kind != FdKind::kUnknown) {
    word |= static_cast<uint8_t>(file.kind);
    if (file.limits_known) word |= kExamined;
    if (file.nonblocking) word |= kNonblocking;
    if (file.is_eventfd) word |= kSmallSums;
  }
  s->facts.store(with_stamps(word, epoch_.load(), outside_.load()), std::memory_order_release);
}

void DescriptorTable::joined(int from, int to) noexcept {
  rt::FdState* s = poller().state_if_known(from);
  if (s == nullptr) return;
  poller().join_ends(from, to);
  s->facts.fetch_or(kTellsOtherEnd);
}

void DescriptorTable::stop_telling(int fd) noexcept {
  rt::FdState* s = poller().state_if_known(fd);
  if (s == nullptr || !tells_other_end(*s)) return;
  s->facts.fetch_and(~uint64_t{kTellsOtherEnd});
  poller().stop_telling(fd);
}

// Type, protocol and time limits are those that the listening socket had when the connection came,
// which may be long after accept was called. The first two never change; of time limits it has none
// if the socket never had others, as is known now.
NewFile DescriptorTable::accepted_from(int listener, rt::FdState& s, uint32_t generation,
                                       int flags) noexcept {
  const Facts facts = unpack(s.facts.load(std::memory_order_acquire));
  const bool is_socket = facts.kind == FdKind::kStream || facts.kind == FdKind::kPacket;
  if (!is_socket || !facts.origin_known || s.generation != generation) return {};
  NewFile connection;
  connection.kind = facts.kind;
  connection.nonblocking = (flags & SOCK_NONBLOCK) != 0;
  connection.rest = rt::Poller::rest_of_reads(listener, s, generation);
  connection.limits_known =
      still_holds(facts) && !facts.had_limit &&
      !(facts.maybe_duplicated && duplicate_had_limit_.load(std::memory_order_relaxed));
  return connection;
}

// A number for the file to be kept under, if somebody waits on it. Negative: nobody does, or there
// is none, and the waits end.
int DescriptorTable::keeper_for(int fd) noexcept {
  const rt::FdState* s = poller().state_if_known(fd);
  if (s == nullptr || !rt::Poller::is_held(*s)) [[likely]]
    return -1;
  const int keeper = rt::duplicate_hidden(fd);
  if (keeper >= 0) duplicated(fd, keeper);
  return keeper;
}

void DescriptorTable::closing(int fd) noexcept {
  poller().forget(fd, rt::Poller::Registration::kStays, keeper_for(fd));
}

bool DescriptorTable::is_last_of_its_file(int fd) noexcept {
  const rt::FdState* s = poller().state_if_known(fd);
  if (s == nullptr) return false;
  const Facts facts = unpack(s->facts.load(std::memory_order_acquire));
  return facts.origin_known && !facts.maybe_duplicated && !facts.shared_outside &&
         facts.outside == outside_.load(std::memory_order_acquire);
}

long DescriptorTable::close(int fd) noexcept {
  using Registration = rt::Poller::Registration;
  const int keeper = keeper_for(fd);
  const bool ends = keeper < 0 && is_last_of_its_file(fd);
  const uint32_t generation =
      poller().forget(fd, ends ? Registration::kEndsWithFile : Registration::kStays, keeper);
  const long result = rt::raw_syscall(SYS_close, fd);
  poller().closed(fd, generation);
  return result;
}

void DescriptorTable::duplicated(int from, int to) noexcept {
  rt::FdState* source = state(from);
  rt::FdState* target = state(to);
  if (source == nullptr || target == nullptr) return;
  Facts facts;
  if (this->facts(from, *source, &facts) != 0) return;
  poller().begin_anew(to);
  poller().copy_other_end(from, to);
  constexpr uint64_t kBoth = kMaybeDuplicated | kDuplicated;
  target->facts.store(source->facts.fetch_or(kBoth) | kBoth);
}

void DescriptorTable::set_nonblocking(int fd, bool value) noexcept {
  rt::FdState* s = poller().state_if_known(fd);
  if (s == nullptr) return;
  const uint64_t word = s->facts.load();
  if ((word & kMaybeDuplicated) != 0 || (word & kOriginKnown) == 0) {
    epoch_.fetch_add(1, std::memory_order_acq_rel);
  }
  if (value) {
    s->facts.fetch_or(kNonblocking);
    s->facts.fetch_and(~uint64_t{kSmallSums});  // such additions are not looked at
  } else {
    s->facts.fetch_and(~uint64_t{kNonblocking});
  }
}

void DescriptorTable::limits_changed(int fd) noexcept {
  rt::FdState* s = poller().state_if_known(fd);
  if (s == nullptr) return;
  epoch_.fetch_add(1, std::memory_order_acq_rel);
  const uint64_t before = s->facts.fetch_or(kHadLimit);
  if ((before & kMaybeDuplicated) != 0 || (before & kOriginKnown) == 0) {
    duplicate_had_limit_.store(true, std::memory_order_relaxed);
  }
  s->facts.fetch_and(~uint64_t{kExamined});
}

void DescriptorTable::seen_listening(rt::FdState& s) noexcept { s.facts.fetch_or(kListens); }

// What is connected does not listen any more, under whichever number.
void DescriptorTable::connecting(rt::FdState& s, const Facts& facts) noexcept {
  if (facts.maybe_duplicated) epoch_.fetch_add(1, std::memory_order_acq_rel);
  if (facts.listens) s.facts.fetch_and(~uint64_t{kListens});
}

void DescriptorTable::refuses_nowait(rt::FdState& s, rt::Direction direction) noexcept {
  s.facts.fetch_or(direction == rt::Direction::kRead ? kNoNowaitRead : kNoNowaitWrite);
}

void DescriptorTable::has_large_sum(rt::FdState& s) noexcept {
  s.facts.fetch_and(~uint64_t{kSmallSums});
}

void DescriptorTable::protocol_added() noexcept {
  protocol_added_.store(true, std::memory_order_relaxed);
}

void DescriptorTable::connect_put_off(int fd) noexcept {
  connects_put_off_.store(true, std::memory_order_relaxed);
  limits_changed(fd);
}

void DescriptorTable::passed_outside() noexcept {
  child_made.store(true, std::memory_order_relaxed);
  outside_.fetch_add(1, std::memory_order_acq_rel);
  poller().shared_outside();
}

void DescriptorTable::reset_after_fork() noexcept { found_ends.reset_after_fork(); }

rt::Deadline DescriptorTable::limit(int fd, Facts facts, rt::Direction direction) noexcept {
  const bool reading = direction == rt::Direction::kRead;
  if (!(reading ? facts.read_limit : facts.write_limit)) return rt::kForever;
  const timeval limit = limit_option(fd, reading ? SO_RCVTIMEO : SO_SNDTIMEO);
  if (limit.tv_sec == 0 && limit.tv_usec == 0) return rt::kForever;
  return rt::deadline_after(limit.tv_sec * rt::kNanosPerSecond + limit.tv_usec * 1000);
}

void note_child_made() noexcept { child_made.store(true, std::memory_order_relaxed); }

void note_inherited_descriptors() noexcept {
  inherited_unknown = !for_each_own_descriptor([](int fd) {
    if (fd < kInheritedBits) inherited[fd / 64] |= uint64_t{1} << (fd % 64);
  });
}

}  // namespace tendril::kernel
