// Calls whose whole green form is "on a pool thread": fsync(2), msgrcv(2), semop(2), mq_*(3),
// io_getevents(2); and what waits of flock(2), msync(2), membarrier(2) and io_uring_enter(2)
#include <linux/membarrier.h>
#include <sys/file.h>
#include <sys/mman.h>

#include <cerrno>

#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/restart.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "runtime/hub/offload.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {

long sys_offloaded(Call& call) {
  const long* a = call.arguments;
  const long result = rt::offload(call.number, a[0], a[1], a[2], a[3], a[4], a[5]);
  if (result == -EPIPE && call.number == SYS_sendfile) signals().raise_in_stead(SIGPIPE);
  if (result != -EINTR) return result;
  switch (call.number) {
    // Signals do not interrupt these: what was interrupted for ours is made again.
    case SYS_fsync:
    case SYS_fdatasync:
    case SYS_sync:
    case SYS_syncfs:
    case SYS_sync_file_range:
    case SYS_msync:
    case SYS_membarrier:
      return -kRestartAlways;
    case SYS_flock:
      return -kRestartSys;
    default:  // signal(7): System V waits, io_getevents and message queues with a limit
      return result;
  }
}

// What unlocks must not queue up behind those who wait for it.
long sys_flock(Call& call) {
  const long tried = rt::raw_syscall(SYS_flock, call.arguments[0], call.arguments[1] | LOCK_NB);
  const bool waits = tried == -EWOULDBLOCK && (call.arguments[1] & LOCK_NB) == 0;
  return waits ? sys_offloaded(call) : tried;
}

long sys_msync(Call& call) {
  return (call.arguments[2] & MS_SYNC) != 0 ? sys_offloaded(call) : pass(call);
}

// That of all processes waits until every processor has been through the kernel.
long sys_membarrier(Call& call) {
  return call.arguments[0] == MEMBARRIER_CMD_GLOBAL ? sys_offloaded(call) : pass(call);
}

long sys_io_uring_enter(Call& call) {
  constexpr long kEnterGetEvents = 1;
  constexpr long kEnterSqWait = 4;
  long* a = call.arguments;  // fd, to_submit, min_complete, flags, argument, argument size
  const bool waits = ((a[3] & kEnterGetEvents) != 0 && a[2] > 0) || (a[3] & kEnterSqWait) != 0;
  if (!waits) return pass(call);
  // What is submitted is submitted by this thread, with its credentials; only the wait moves.
  const long submitted =
      a[1] > 0 ? rt::raw_syscall(SYS_io_uring_enter, a[0], a[1], 0,
                                 a[3] & ~(kEnterGetEvents | kEnterSqWait | 8), nullptr, 0)
               : 0;
  if (submitted < 0) return submitted;
  const long result = rt::offload(SYS_io_uring_enter, a[0], 0, a[2], a[3], a[4], a[5]);
  if (submitted > 0) return submitted;
  return result;
}

}  // namespace tendril::kernel
