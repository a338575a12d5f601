#include "runtime/hub/process_ring.hpp"

#include "runtime/platform/syscall.hpp"

namespace tendril::rt {

bool ProcessRing::hand_over() noexcept {
  ring.publish();
  if (raw_syscall_uninterrupted(SYS_io_uring_enter, ring.fd(), 1, 0, 0, nullptr, 0) == 1) {
    return true;
  }
  ring.take_back();
  return false;
}

void ProcessRing::reset_after_fork() noexcept {
  lock.reset_after_fork();
  if (ring.is_open()) ring.close();
  state_ = State::kForbidden;
}

}  // namespace tendril::rt
