// seccomp(2), and the prctl(2) of the same effect
#include <linux/seccomp.h>

#include <cerrno>

#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/report.hpp"
#include "interpose/kernel/seccomp_filter.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "runtime/memory/allocator.hpp"
#include "runtime/platform/clock.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

// 0 if green threads can live under it, or if the Linux kernel will refuse it.
long examine(const void* users) noexcept {
  sock_fprog program;
  if (copy_in(&program, users) != 0) return -EFAULT;
  if (program.len == 0 || program.len > BPF_MAXINSNS) return 0;
  const size_t bytes = program.len * sizeof(sock_filter);
  auto* instructions = static_cast<sock_filter*>(rt::runtime_allocate(bytes));
  if (instructions == nullptr) return -ENOMEM;
  const long error = copy_in_bytes(instructions, program.filter, bytes);
  const char* forbidden = error == 0 ? forbidden_by_filter(instructions, program.len) : nullptr;
  rt::runtime_free(instructions);
  if (error != 0 || forbidden == nullptr) return error;
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

long install(Call& call, long flags) noexcept {
  // All kernel threads of the process, where the program means all its threads.
  const bool alone = threads().count() == 1 && !rt::current_worker_unchecked()->reserved;
  constexpr long kListener = SECCOMP_FILTER_FLAG_NEW_LISTENER;
  if (alone && (flags & kListener) == 0) flags |= SECCOMP_FILTER_FLAG_TSYNC;
  if ((flags & SECCOMP_FILTER_FLAG_TSYNC) == 0 && !bind_thread()) return -EAGAIN;
  workers().retire_watchdog();
  Call own = call;
  own.number = SYS_seccomp;
  own.arguments[0] = SECCOMP_SET_MODE_FILTER;
  own.arguments[1] = flags;
  // (With a listener a positive result is that one's descriptor.)
  const bool tells_a_thread = (flags & SECCOMP_FILTER_FLAG_TSYNC) != 0 && (flags & kListener) == 0;
  return tells_a_thread ? install_for_all(own) : pass(own);
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
    case SECCOMP_SET_MODE_FILTER: {
      const long error = examine(reinterpret_cast<const void*>(call.arguments[2]));
      return error != 0 ? error : install(call, call.arguments[1]);
    }
    default:
      return pass(call);
  }
}

long prctl_seccomp(Call& call) {
  if (call.arguments[1] == SECCOMP_MODE_STRICT) return refuse_strict_mode();
  if (call.arguments[1] != SECCOMP_MODE_FILTER) return pass(call);
  const long error = examine(reinterpret_cast<const void*>(call.arguments[2]));
  return error != 0 ? error : install(call, 0);
}

}  // namespace tendril::kernel
