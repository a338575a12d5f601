// semop(2), semtimedop(2), msgsnd(2), msgrcv(2), mq_timedsend(3) and mq_timedreceive(3)
//
// What need not wait is done by the worker; who has to wait does so on a pool thread, for there is
// nothing that would tell us when to try again.
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

#include <cerrno>

#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "runtime/platform/clock.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {

// All or none of the operations are carried out, so to try them changes nothing else.
long sys_semop(Call& call) {
  constexpr size_t kMost = 16;
  const long* a = call.arguments;  // set, operations, their number, time limit
  const auto count = static_cast<size_t>(a[2]);
  sembuf operations[kMost];
  if (count > kMost ||
      copy_in_bytes(operations, reinterpret_cast<const void*>(a[1]), count * sizeof(sembuf)) != 0) {
    return sys_offloaded(call);
  }
  bool may_wait = false;
  for (size_t i = 0; i < count; ++i) {
    may_wait = may_wait || (operations[i].sem_flg & IPC_NOWAIT) == 0;
    operations[i].sem_flg |= IPC_NOWAIT;
  }
  const long tried = rt::raw_syscall(call.number, a[0], operations, count, a[3]);
  return tried == -EAGAIN && may_wait ? sys_offloaded(call) : tried;
}

long sys_msgsnd(Call& call) {
  const long* a = call.arguments;  // queue, message, size, flags
  const long tried = rt::raw_syscall(SYS_msgsnd, a[0], a[1], a[2], a[3] | IPC_NOWAIT);
  return tried == -EAGAIN && (a[3] & IPC_NOWAIT) == 0 ? sys_offloaded(call) : tried;
}

long sys_msgrcv(Call& call) {
  const long* a = call.arguments;  // queue, message, size, type, flags
  // MSG_COPY is an error without IPC_NOWAIT.
  if ((a[4] & (IPC_NOWAIT | MSG_COPY)) != 0) return pass(call);
  const long tried = rt::raw_syscall(SYS_msgrcv, a[0], a[1], a[2], a[3], a[4] | IPC_NOWAIT);
  return tried == -ENOMSG ? sys_offloaded(call) : tried;
}

// A time limit that has passed is looked at only where there is something to wait for.
long sys_mq_timed(Call& call) {
  const long* a = call.arguments;  // queue, message, size, priority, time limit
  timespec limit{};
  if (a[4] != 0) {
    if (copy_in(&limit, reinterpret_cast<const void*>(a[4])) != 0) return -EFAULT;
    const bool is_time =
        limit.tv_sec >= 0 && limit.tv_nsec >= 0 && limit.tv_nsec < rt::kNanosPerSecond;
    if (!is_time) return -EINVAL;
  }
  const timespec past{};
  const long tried = rt::raw_syscall(call.number, a[0], a[1], a[2], a[3], &past);
  // A signal of the worker's own comes before the limit that has passed.
  return tried == -ETIMEDOUT || tried == -EINTR ? sys_offloaded(call) : tried;
}

}  // namespace tendril::kernel
