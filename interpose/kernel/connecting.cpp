#include "interpose/kernel/connecting.hpp"

#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {

long wait_for_connection(Transfer& transfer, uint32_t seen) noexcept {
  for (;;) {
    pollfd probe{transfer.fd, POLLOUT, 0};
    const timespec now{0, 0};
    if (rt::raw_syscall_uninterrupted(SYS_ppoll, &probe, 1, &now, nullptr, 0) > 0) return 0;
    if (const long result = wait_for_readiness(transfer, seen); result != 0) {
      return result == -kRestartAlways ? -EBADF : result;  // it is under way: not to begin anew
    }
    seen = rt::Poller::edges(*transfer.state, rt::Direction::kWrite);
  }
}

bool is_connecting(int fd) noexcept {
  uint8_t state = 0;  // the first field of struct tcp_info
  socklen_t size = sizeof state;
  return rt::raw_syscall(SYS_getsockopt, fd, IPPROTO_TCP, TCP_INFO, &state, &size) == 0 &&
         (state == TCP_SYN_SENT || state == TCP_SYN_RECV);
}

// connect would need the address, and SO_ERROR would leave the state as it is.
long end_connection_by_send(int fd) noexcept {
  const long result = rt::raw_syscall(SYS_sendto, fd, nullptr, 0,
                                      MSG_FASTOPEN | MSG_DONTWAIT | MSG_NOSIGNAL, nullptr, 0);
  return result == -EISCONN ? 0 : result;  // it knows already
}

}  // namespace tendril::kernel
