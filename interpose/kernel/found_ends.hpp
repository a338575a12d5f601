// Which descriptors are two ends of one pipe, where nobody has seen it made: pipes from before the
// process became green.
#pragma once

#include <sys/stat.h>

#include "runtime/hub/poller.hpp"
#include "runtime/platform/spin_lock.hpp"

namespace tendril::kernel {

class FoundEnds {
 public:
  // Both ends of a pipe, of which the second was found now. Numbers; -1: the other is not known.
  struct Ends {
    int writer = -1;
    int reader = -1;
    bool complete() const noexcept { return writer >= 0 && reader >= 0; }
  };

  // `fd` is an end of the pipe that the status is of. An older pipe may be forgotten for it.
  Ends found(int fd, const rt::FdState& state, const struct stat& pipe, bool reads) noexcept;

  void reset_after_fork() noexcept;

 private:
  struct End {
    int fd = -1;
    uint32_t generation = 0;
  };
  struct Pipe {
    dev_t device = 0;
    ino_t inode = 0;
    End ends[2];  // writer, reader
  };
  static constexpr size_t kPipes = 64;
  static int if_still_the_same(const End& end) noexcept;

  rt::SpinLock lock_;
  Pipe pipes_[kPipes];  // by inode
};

}  // namespace tendril::kernel
