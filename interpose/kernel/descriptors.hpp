// What we know about the program's descriptors, so that a wait costs no questions to the kernel:
// what kind of thing it is, whether the program made it non-blocking, whether it has time limits.
//
// Knowledge is per descriptor number and lives in FdState::facts; it is gathered at the first wait
// and kept true by the tracked calls (fcntl, ioctl, setsockopt, dup, close, fork). Where the open
// file description may be shared, somebody else may change it: with another number in this process
// (then an epoch says whether anything changed), or with another process (then we ask each time).
#pragma once

#include <atomic>
#include <cstdint>

#include "runtime/hub/poller.hpp"
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

struct Facts {
  FdKind kind = FdKind::kUnknown;
  bool bytes_only = false;             // a stream: nobody has put another protocol on top of it
  bool nonblocking = false;            // the program set O_NONBLOCK
  bool shared_outside = true;          // the description may be shared with another process
  bool maybe_duplicated = false;       // or with another descriptor of this one
  bool read_limit = false;             // SO_RCVTIMEO is set
  bool write_limit = false;            // SO_SNDTIMEO is set
  bool no_nowait[2] = {false, false};  // the kernel refuses RWF_NOWAIT on it, by rt::Direction
};

class DescriptorTable {
 public:
  // The poller's state for the number; null: the number is absurd (EBADF) or memory is out.
  rt::FdState* state(int fd) noexcept;

  // What is known, after asking the kernel for what is not. -EBADF if it is not open.
  long facts(int fd, rt::FdState& s, Facts* facts) noexcept;

  // --- what the tracked calls report ---
  void created(int fd, bool shared_outside) noexcept;
  void closing(int fd) noexcept;  // it is about to be closed or replaced
  long close(int fd) noexcept;    // closes it; the kernel's result
  void duplicated(int from, int to) noexcept;
  void set_nonblocking(int fd, bool value) noexcept;
  void limits_changed(int fd) noexcept;
  void refuses_nowait(rt::FdState& s, rt::Direction direction) noexcept;
  void protocol_added() noexcept;  // to some stream socket
  void passed_outside() noexcept;  // fork, or sent over a Unix socket: everything may be shared now

  // Time limit of a wait: SO_RCVTIMEO or SO_SNDTIMEO.
  rt::Deadline limit(int fd, const Facts& facts, rt::Direction direction) noexcept;

 private:
  std::atomic<uint16_t> epoch_{1};    // of changes to descriptions that may be duplicated
  std::atomic<uint16_t> outside_{0};  // times that everything was shared outside
  std::atomic<bool> protocol_added_{false};
};

DescriptorTable& descriptors() noexcept;

// The poller of the calling worker.
rt::Poller& poller() noexcept;

// Before anything is green: descriptors that the process was started with, and whether it has had
// children; both may mean that others share its open files. See boot/.
void note_inherited_descriptors() noexcept;
void note_child_made() noexcept;

}  // namespace tendril::kernel
