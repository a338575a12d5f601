// Calls whose whole green form is "on a pool thread", as fsync(2); and what waits of flock(2),
// msync(2), membarrier(2), io_getevents(2) and io_pgetevents(2)
#include <linux/aio_abi.h>
#include <linux/membarrier.h>
#include <sys/file.h>
#include <sys/mman.h>

#include <cerrno>

#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/restart.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/temporary_mask.hpp"
#include "interpose/kernel/user_memory.hpp"
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
    default:  // signal(7): System V waits and message queues with a limit
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

namespace {

// What is there already is taken without a pool thread; that leaves fewer to wait for.
long get_aio_events(Call& call) noexcept {
  const long* a = call.arguments;  // context, least, most, events, time limit
  timespec limit{1, 0};
  if (a[4] != 0 && copy_in(&limit, reinterpret_cast<const void*>(a[4])) != 0) return -EFAULT;
  const timespec none{};
  long taken;
  do {
    taken = rt::raw_syscall(SYS_io_getevents, a[0], a[1], a[2], a[3], &none);
  } while (taken == -EINTR);  // by a signal of the worker's
  const bool waits = taken >= 0 && taken < a[1] && (limit.tv_sec != 0 || limit.tv_nsec != 0);
  if (!waits) return taken;
  const long rest = a[3] + taken * static_cast<long>(sizeof(io_event));
  const long more = rt::offload(SYS_io_getevents, a[0], a[1] - taken, a[2] - taken, rest, a[4], 0);
  if (taken == 0) return more;
  return more > 0 ? taken + more : taken;
}

}  // namespace

long sys_io_getevents(Call& call) { return get_aio_events(call); }

// The mask holds for the green thread: a pool thread takes none of its signals.
long sys_io_pgetevents(Call& call) {
  struct {
    const uint64_t* set;
    size_t size;
  } packed{nullptr, 0};
  const auto* given = reinterpret_cast<const void*>(call.arguments[5]);
  if (given != nullptr && copy_in(&packed, given) != 0) return -EFAULT;
  TemporaryMask temporary;
  if (const long error = temporary.set(packed.set, packed.size); error != 0) return error;
  const long result = get_aio_events(call);
  temporary.restore(result == -EINTR);
  return result == -EINTR ? -kRestartNoHandler : result;
}

}  // namespace tendril::kernel
