// splice(2), tee(2), vmsplice(2)
#include <fcntl.h>

#include "interpose/kernel/blocking_io.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "runtime/hub/offload.hpp"

namespace tendril::kernel {
namespace {

long offload_call(const Call& call) noexcept {
  const long* a = call.arguments;
  const long result = rt::offload(call.number, a[0], a[1], a[2], a[3], a[4], a[5]);
  if (result == -EPIPE) signals().raise_in_stead(SIGPIPE);
  return result == -EINTR ? -kRestartSys : result;
}

bool program_made_nonblocking(int fd) noexcept {
  rt::FdState* s = descriptors().state(fd);
  Facts facts;
  return s == nullptr || descriptors().facts(fd, *s, &facts) != 0 || facts.nonblocking;
}

}  // namespace

// Both ends non-blocking, or told not to wait: the kernel's at once. Else a pool thread waits.
long sys_splice(Call& call) {
  const long* a = call.arguments;  // in, offset, out, offset, count, flags
  const bool no_wait = (a[5] & SPLICE_F_NONBLOCK) != 0 &&
                       program_made_nonblocking(static_cast<int>(a[0])) &&
                       program_made_nonblocking(static_cast<int>(a[2]));
  return no_wait ? pass(call) : offload_call(call);
}

long sys_tee(Call& call) {
  return (call.arguments[3] & SPLICE_F_NONBLOCK) != 0 ? pass(call) : offload_call(call);
}

long sys_vmsplice(Call& call) {
  return (call.arguments[3] & SPLICE_F_NONBLOCK) != 0 ? pass(call) : offload_call(call);
}

}  // namespace tendril::kernel
