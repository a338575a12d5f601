// What we know about the program's descriptors, so that a wait costs no questions to the kernel:
// what kind of thing it is, whether the program made it non-blocking, whether it has time limits.
//
// Knowledge is per descriptor number and lives in FdState::facts; it is gathered at the first wait
// and kept true by the tracked calls (fcntl, ioctl, setsockopt, dup, close, fork). Where the open
// file description may be shared, somebody else may change it: with another number in this process
// (then an epoch says whether anything changed), or with another process (then we ask each time,
// but for attempts that do not wait whatever the answer: those ask before they wait).
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <bit>
#include <cstdint>

#include "runtime/hub/poller.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/platform/clock.hpp"

namespace tendril::kernel {

enum class FdKind : uint8_t {
  kUnknown,
  kStream,    // a stream socket
  kPacket,    // any other socket: transfers are atomic
  kPipe,      // a pipe or FIFO
  kFile,      // regular file, directory, block device: never waits for readiness
  kDevice,    // a character device: terminals
  kAnonymous  // eventfd, timerfd, inotify, epoll…
};

// The word in FdState::facts. A copy field by field would cost each call more than its questions.
struct Facts {
  FdKind kind : 8;
  bool nonblocking : 1;       // the program set O_NONBLOCK
  bool shared_outside : 1;    // the description may be shared with another process
  bool maybe_duplicated : 1;  // or with another descriptor of this one
  bool read_limit : 1;        // SO_RCVTIMEO is set
  bool write_limit : 1;       // SO_SNDTIMEO is set
  bool no_nowait_read : 1;    // the kernel refuses RWF_NOWAIT on it
  bool no_nowait_write : 1;
  bool origin_known : 1;      // a tracked call made it: who may share it is right
  bool examined : 1;          // kind, nonblocking and the limits are right
  bool duplicated : 1;        // a tracked call made another descriptor of it
  bool puts_off_connect : 1;  // TCP_FASTOPEN_CONNECT is set
  bool had_limit : 1;         // SO_RCVTIMEO or SO_SNDTIMEO was set once
  bool listens : 1;           // it is a socket that was seen to, and has not been connected since
  bool unconfirmed : 1;       // never kept: see facts_for_attempt
  bool tells_other_end : 1;   // of a write: Poller::tell_other_end
  bool small_sums : 1;        // an eventfd made here, to which nobody has added much at a time
  uint16_t : 8;
  uint16_t epoch : 16;    // of changes to what may be duplicated, when this was learnt
  uint16_t outside : 16;  // how often everything had been shared outside by then
};
static_assert(sizeof(Facts) == sizeof(uint64_t));

// What the call that makes a descriptor tells about it, so that it need not be asked later.
struct NewFile {
  FdKind kind = FdKind::kUnknown;  // unknown: all of it is
  bool nonblocking = false;
  rt::FdState::Rest rest = rt::FdState::Rest::kNotAsked;
  bool is_eventfd = false;   // a new one
  bool limits_known = true;  // it has none
};

class DescriptorTable {
 public:
  // The poller's state for the number; null: the number is absurd (EBADF) or memory is out.
  rt::FdState* state(int fd) noexcept { return rt::current_worker_unchecked()->poller->state(fd); }

  // What is known, after asking the kernel for what is not. -EBADF if it is not open.
  long facts(int fd, rt::FdState& s, Facts* facts) noexcept {
    const auto known = std::bit_cast<Facts>(s.facts.load(std::memory_order_acquire));
    if (still_holds(known)) [[likely]] {
      *facts = known;
      return 0;
    }
    const Found found = find_out(fd, s);
    *facts = found.facts;
    return found.error;
  }

  // The same for an attempt that does not wait even if the descriptor is blocking. What another
  // process may have changed is not asked: `unconfirmed`, and taken for blocking. Who has tried and
  // would have to wait asks by facts().
  long facts_for_attempt(int fd, rt::FdState& s, Facts* facts) noexcept {
    const auto known = std::bit_cast<Facts>(s.facts.load(std::memory_order_acquire));
    if (still_holds(known)) [[likely]] {
      *facts = known;
      return 0;
    }
    if (!others_may_have_changed(known)) return this->facts(fd, s, facts);
    *facts = known;
    facts->shared_outside = true;
    facts->nonblocking = false;
    facts->listens = false;
    facts->unconfirmed = true;
    return 0;
  }

  static bool tells_other_end(const rt::FdState& s) noexcept {
    return std::bit_cast<Facts>(s.facts.load(std::memory_order_relaxed)).tells_other_end;
  }

  // A stream on top of which nobody has put another protocol.
  bool carries_bytes_only(const Facts& facts) const noexcept {
    return facts.kind == FdKind::kStream && !facts.shared_outside &&
           !protocol_added_.load(std::memory_order_relaxed);
  }

  // --- what the tracked calls report ---
  void created(int fd, bool shared_outside, const NewFile& file = {}) noexcept;
  // What is written to `from` is there to be read from `to`; and nobody will tell of that any more.
  static void joined(int from, int to) noexcept;
  void stop_telling(int fd) noexcept;
  // What a connection has from the socket that it is accepted from; `flags` of accept4.
  NewFile accepted_from(int listener, rt::FdState& s, uint32_t generation, int flags) noexcept;
  void closing(int fd) noexcept;  // it is about to be closed or replaced
  long close(int fd) noexcept;    // closes it; the kernel's result
  void duplicated(int from, int to) noexcept;
  void set_nonblocking(int fd, bool value) noexcept;
  void limits_changed(int fd) noexcept;  // or are about to be
  void seen_listening(rt::FdState& s) noexcept;
  void connecting(rt::FdState& s, const Facts& facts) noexcept;
  void refuses_nowait(rt::FdState& s, rt::Direction direction) noexcept;
  void has_large_sum(rt::FdState& s) noexcept;  // or is about to
  void protocol_added() noexcept;               // to some stream socket
  void connect_put_off(int fd) noexcept;
  void reset_after_fork() noexcept;
  void passed_outside() noexcept;  // fork, or sent over a Unix socket: everything may be shared now

  // Time limit of a wait: SO_RCVTIMEO or SO_SNDTIMEO.
  rt::Deadline limit(int fd, Facts facts, rt::Direction direction) noexcept;

 private:
  bool still_holds(const Facts& known) const noexcept {
    if (!known.origin_known || !known.examined) return false;
    if (known.kind == FdKind::kFile) return true;  // and nothing that others may do matters
    return !known.shared_outside && known.outside == outside_.load(std::memory_order_acquire) &&
           unchanged_here(known);
  }
  // Not by another descriptor of this process.
  bool unchanged_here(const Facts& known) const noexcept {
    return !known.maybe_duplicated || known.epoch == epoch_.load(std::memory_order_acquire);
  }
  // A socket or pipe of which nothing but what another process may have changed is unknown.
  bool others_may_have_changed(const Facts& known) const noexcept {
    const bool takes_attempts = known.kind == FdKind::kStream || known.kind == FdKind::kPacket ||
                                known.kind == FdKind::kPipe;
    return known.origin_known && known.examined && takes_attempts && !known.puts_off_connect &&
           unchanged_here(known);
  }
  int keeper_for(int fd) noexcept;
  // Nobody has another descriptor of the same open file, as far as tracked calls tell.
  bool is_last_of_its_file(int fd) noexcept;
  struct Found {  // comes back in registers, so that callers keep what they know in registers too
    long error;
    Facts facts;
  };
  [[gnu::cold]] Found find_out(int fd, rt::FdState& s) noexcept;
  static void find_other_end(int fd, const rt::FdState& s, const struct stat& status,
                             int flags) noexcept;

  std::atomic<uint16_t> epoch_{1};    // of changes to descriptions that may be duplicated
  std::atomic<uint16_t> outside_{0};  // times that everything was shared outside
  std::atomic<bool> protocol_added_{false};
  // Of some socket, since the process became green:
  std::atomic<bool> connects_put_off_{false};
  std::atomic<bool> duplicate_had_limit_{false};
};

extern constinit DescriptorTable the_descriptors;
inline DescriptorTable& descriptors() noexcept { return the_descriptors; }

// The poller of the calling worker.
inline rt::Poller& poller() noexcept { return *rt::current_worker_unchecked()->poller; }

// Before anything is green: descriptors that the process was started with, and whether it has had
// children; both may mean that others share its open files. See boot/.
void note_inherited_descriptors() noexcept;
void note_child_made() noexcept;

}  // namespace tendril::kernel
