// seccomp(2), and the prctl(2) of the same effect
#include <linux/seccomp.h>

#include <cerrno>

#include "interpose/kernel/filtered_call.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/report.hpp"
#include "interpose/kernel/seccomp_filter.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/thread_limit.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "runtime/hub/accept_ring.hpp"
#include "runtime/hub/shared_futex.hpp"
#include "runtime/memory/allocator.hpp"
#include "runtime/platform/clock.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

// 0 if green threads can live under it, or if the Linux kernel will refuse it.
long examine(sock_fprog& program) noexcept {
  const char* forbidden = forbidden_by_filter(program.filter, program.len);
  if (forbidden == nullptr) return 0;
  Report()
      .text("tendril: the seccomp filter of this program forbids ")
      .text(forbidden)
      .text(", which green threads need: it was not installed (EINVAL)")
      .send();
  return -EINVAL;
}

// Of the green thread that has this kernel thread for itself; 0 if none has.
int green_tid_on(long kernel_thread) noexcept {
  int tid = 0;
  threads().for_each([&](GreenThread* t) {
    const rt::Worker* worker = t->fiber != nullptr ? t->fiber->worker : nullptr;
    if (worker != nullptr && worker->reserved && worker->os_tid == kernel_thread) tid = t->tid;
  });
  return tid;
}

// With SECCOMP_FILTER_FLAG_TSYNC the Linux kernel tells the thread that has a filter of its own in
// the way. That may be the kernel thread of a green thread that is over, and was joined, for the
// program: it is about to end, and natively it would not be there any more.
long install_for_all(Call& call) noexcept {
  constexpr rt::Nanoseconds kPause = 100'000;
  constexpr int kMostPauses = 50'000;  // 5 s: a processor may be very busy
  long result = pass(call);
  for (int pauses = 0; result > 0; ++pauses) {
    if (const int green = green_tid_on(result); green != 0) return green;
    if (pauses == kMostPauses) return -EAGAIN;
    const timespec pause = rt::to_timespec(kPause);
    rt::raw_syscall(SYS_nanosleep, &pause, nullptr);
    result = pass(call);
  }
  return result;
}

long install_filter(Call& call, sock_fprog& program, long flags) noexcept {
  if (const long error = examine(program); error != 0) return error;
  rt::end_shared_futex_ring();
  rt::end_accept_ring();
  // All kernel threads of the process, where the program means all its threads.
  const bool alone = is_last_thread();
  mark_instead_of_killing(program);
  constexpr long kListener = SECCOMP_FILTER_FLAG_NEW_LISTENER;
  if (alone && (flags & kListener) == 0) flags |= SECCOMP_FILTER_FLAG_TSYNC;
  // Where there can be no second kernel thread, the one that there is is the thread's own.
  const bool has_own = alone && threads_are_forbidden();
  if ((flags & SECCOMP_FILTER_FLAG_TSYNC) == 0 && !has_own && !bind_thread()) return -EAGAIN;
  workers().retire_watchdog();
  // (With a listener a positive result is that one's descriptor.)
  const bool tells_a_thread = (flags & SECCOMP_FILTER_FLAG_TSYNC) != 0 && (flags & kListener) == 0;
  const bool as_error = tells_a_thread && (flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH) != 0;
  if (as_error) flags &= ~static_cast<long>(SECCOMP_FILTER_FLAG_TSYNC_ESRCH);  // we have to know
  Call own = call;
  own.number = SYS_seccomp;
  own.arguments[0] = SECCOMP_SET_MODE_FILTER;
  own.arguments[1] = flags;
  own.arguments[2] = reinterpret_cast<long>(&program);
  const long result = tells_a_thread ? install_for_all(own) : pass(own);
  return as_error && result > 0 ? -ESRCH : result;
}

long install(Call& call, long flags) noexcept {
  // The Linux kernel looks at the flags first, and then for the filter.
  const long without_filter = rt::raw_syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, nullptr);
  if (without_filter != -EFAULT) return without_filter;
  sock_fprog program;
  if (copy_in(&program, reinterpret_cast<const void*>(call.arguments[2])) != 0) return -EFAULT;
  if (program.len == 0 || program.len > BPF_MAXINSNS) return -EINVAL;
  const size_t bytes = program.len * sizeof(sock_filter);
  const size_t room = bytes + kRoomForMarks * sizeof(sock_filter);
  auto* instructions = static_cast<sock_filter*>(rt::runtime_allocate(room));
  if (instructions == nullptr) return -ENOMEM;
  long result = copy_in_bytes(instructions, program.filter, bytes);
  program.filter = instructions;
  if (result == 0) result = install_filter(call, program, flags);
  rt::runtime_free(instructions);
  return result;
}

long refuse_strict_mode() noexcept {
  Report()
      .text("tendril: seccomp's strict mode would end a green process; it was not entered (EINVAL)")
      .send();
  return -EINVAL;
}

}  // namespace

long sys_seccomp(Call& call) {
  switch (call.arguments[0]) {
    case SECCOMP_SET_MODE_STRICT:
      return refuse_strict_mode();
    case SECCOMP_SET_MODE_FILTER:
      return install(call, call.arguments[1]);
    default:
      return pass(call);
  }
}

long prctl_seccomp(Call& call) {
  if (call.arguments[1] == SECCOMP_MODE_STRICT) return refuse_strict_mode();
  if (call.arguments[1] != SECCOMP_MODE_FILTER) return pass(call);
  return install(call, 0);
}

}  // namespace tendril::kernel
