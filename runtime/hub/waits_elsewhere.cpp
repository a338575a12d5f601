// Waits on descriptors of which the poller's set does not tell: the Linux kernel is asked
// otherwise.
#include <sys/epoll.h>

#include "runtime/hub/poller.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::rt {

// Precondition: s.lock held. What somebody else hears of the set would tell as well, to nobody.
void Poller::withdraw_unless_waited_for(int fd, FdState& s) noexcept {
  if (!s.registered || anybody_waits(s)) return;
  epoll_event unused{};
  raw_syscall(SYS_epoll_ctl, epoll_fd_, EPOLL_CTL_DEL, fd, &unused);
  s.registered = s.armed = false;
}

// Precondition: s.lock held. Whether a fiber that has an OS thread of its own waits for this one in
// that, see Worker::await: a set that another thread watches would cost it a thread more to wake
// it. Such a wait ends when the descriptor is ready, not when it becomes so; and there are those
// that are ready and yet have nothing (an error that nobody fetches, room but not for this
// datagram): an edge is waited for then.
bool Poller::waits_alone(int fd, FdState& s, const CallWait& call) noexcept {
  constexpr uint8_t kMostInVain = 3;
  if (call.in_vain >= kMostInVain) return false;
  stop_telling_locked(fd, s);
  withdraw_unless_waited_for(fd, s);
  return true;
}

bool Poller::begin_transfer(int fd, FdState& s, uint32_t generation, Waiter& waiter) noexcept {
  SpinGuard guard(s.lock);
  if (s.generation != generation) return false;
  withdraw_unless_waited_for(fd, s);
  s.transfers.push_back(&waiter);
  waiters_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void Poller::end_transfer(FdState& s, Waiter& waiter) noexcept {
  SpinGuard guard(s.lock);
  if (!waiter.linked()) return;
  IntrusiveList<Waiter>::remove(&waiter);
  waiters_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace tendril::rt
