#include "interpose/kernel/found_ends.hpp"

#include "runtime/hub/worker.hpp"

namespace tendril::kernel {

int FoundEnds::if_still_the_same(const End& end) noexcept {
  if (end.fd < 0) return -1;
  const rt::FdState* s = rt::current_worker_unchecked()->poller->state_if_known(end.fd);
  return s != nullptr && s->generation == end.generation ? end.fd : -1;
}

FoundEnds::Ends FoundEnds::found(int fd, const rt::FdState& state, const struct stat& pipe,
                                 bool reads) noexcept {
  rt::SpinGuard guard(lock_);
  Pipe& known = pipes_[pipe.st_ino % kPipes];
  if (known.inode != pipe.st_ino || known.device != pipe.st_dev) {
    known = {pipe.st_dev, pipe.st_ino, {}};
  }
  known.ends[reads ? 1 : 0] = {fd, state.generation};
  return {if_still_the_same(known.ends[0]), if_still_the_same(known.ends[1])};
}

void FoundEnds::reset_after_fork() noexcept {
  lock_.reset_after_fork();
  for (Pipe& pipe : pipes_) pipe = {};
}

}  // namespace tendril::kernel
