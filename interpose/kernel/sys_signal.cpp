// rt_sig*(2), sigaltstack(2), pause(2), kill(2) and its relatives
#include <signal.h>

#include <cerrno>
#include <cstring>

#include "interpose/kernel/alternate_stack.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/restart.hpp"
#include "interpose/kernel/signal_gate.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/time_arguments.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "runtime/hub/park.hpp"
#include "runtime/platform/syscall.hpp"

extern "C" [[noreturn]] void tendril_sigreturn(void* frame);

namespace tendril::kernel {
namespace {

int own_pid() noexcept { return static_cast<int>(rt::raw_syscall(SYS_getpid)); }

siginfo_t make_info(int signal, int code) noexcept {
  siginfo_t info;
  std::memset(&info, 0, sizeof info);
  info.si_signo = signal;
  info.si_code = code;
  info.si_pid = own_pid();
  info.si_uid = static_cast<uid_t>(rt::raw_syscall(SYS_getuid));
  return info;
}

bool is_signal(int signal) noexcept { return signal >= 0 && signal <= kLastSignal; }

// To a thread of this process, green. -ESRCH if the tid is not one, -EINVAL if the signal is none,
// -EAGAIN if no more may be queued.
long post_to(int tid, siginfo_t info) noexcept {
  const bool valid = is_signal(info.si_signo);
  if (!valid) info.si_signo = 0;  // only looks whether there is such a thread
  const long result = signals().post(info, tid);
  return result != 0 || valid ? result : -EINVAL;
}

// What the Linux kernel alone may say of the origin of a signal, a thread may say to itself only.
bool is_forged(const siginfo_t& info, int target) noexcept {
  return (info.si_code >= 0 || info.si_code == SI_TKILL) && current_thread()->tid != target;
}

// Parks until a signal wants the thread's attention.
void park_for_signal() noexcept {
  GreenThread* thread = current_thread();
  for (;;) {
    post_arrived_signals();
    if (thread->fiber->interrupt_pending.load(std::memory_order_seq_cst) &&
        signals().has_accepted(thread)) {
      return;
    }
    rt::begin_wait(rt::WaitKind::kSignal, nullptr);
    rt::park(rt::kForever);
  }
}

}  // namespace

long sys_rt_sigaction(int signal, const KernelAction* wanted, KernelAction* old, size_t set_size) {
  if (set_size != kSetSize) return -EINVAL;
  KernelAction fresh;
  KernelAction before;
  if (wanted != nullptr && copy_in(&fresh, wanted) != 0) return -EFAULT;
  const long result = signals().set_action(signal, wanted != nullptr ? &fresh : nullptr, &before);
  if (result == 0 && old != nullptr) return copy_out(old, before);
  return result;
}

long sys_rt_sigprocmask(int how, const uint64_t* set, uint64_t* old, size_t set_size) {
  if (set_size != kSetSize) return -EINVAL;
  GreenThread* thread = current_thread();
  const uint64_t before = thread->blocked;
  if (set != nullptr) {
    uint64_t wanted;
    if (copy_in(&wanted, set) != 0) return -EFAULT;
    switch (how) {
      case SIG_BLOCK:
        wanted |= before;
        break;
      case SIG_UNBLOCK:
        wanted = before & ~wanted;
        break;
      case SIG_SETMASK:
        break;
      default:
        return -EINVAL;
    }
    if (wanted != before) signals().set_blocked(thread, wanted);
  }
  return old != nullptr ? copy_out(old, before) : 0;
}

// Only for frames that the kernel made before the process became green: handlers since then are
// called by us and return to us.
long sys_rt_sigreturn(Call& call) {
  auto* frame = reinterpret_cast<ucontext_t*>(call.frame->uc_mcontext.gregs[REG_RSP]);
  uint64_t mask;
  if (copy_in(&mask, &frame->uc_sigmask) != 0 || copy_out(&frame->uc_sigmask, mask) != 0) {
    return -EFAULT;
  }
  signals().set_blocked(current_thread(), mask);
  change_alternate_stack(&current_thread()->alternate_stack, frame->uc_stack,
                         reinterpret_cast<uintptr_t>(frame));
  prepare_return(frame);
  tendril_sigreturn(frame);
}

long sys_sigaltstack(Call& call) {
  GreenThread* thread = current_thread();
  const auto* wanted = reinterpret_cast<const stack_t*>(call.arguments[0]);
  auto* old = reinterpret_cast<stack_t*>(call.arguments[1]);
  // Where the program stands: the trap's frame knows; a symbol hook runs on the program's stack.
  const auto sp = call.frame != nullptr
                      ? static_cast<uintptr_t>(call.frame->uc_mcontext.gregs[REG_RSP])
                      : reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  const stack_t before = shown_alternate_stack(thread->alternate_stack, sp);
  if (wanted != nullptr) {
    stack_t fresh;
    if (copy_in(&fresh, wanted) != 0) return -EFAULT;
    // What changes nothing is allowed, even of the size 0 that a process begins with.
    const bool as_begun = fresh.ss_sp == nullptr && fresh.ss_size == 0 && fresh.ss_flags == 0 &&
                          thread->alternate_stack.ss_size == 0 && thread->tid == own_pid();
    const long result = as_begun ? 0 : change_alternate_stack(&thread->alternate_stack, fresh, sp);
    if (result != 0) return result;
  }
  return old != nullptr ? copy_out(old, before) : 0;
}

// The descriptor must find in the kernel what no thread takes.
long sys_signalfd(Call& call) {
  uint64_t mask;
  const long result = sys_new_descriptor(call);
  if (result >= 0 && copy_in(&mask, reinterpret_cast<const void*>(call.arguments[1])) == 0) {
    signals().note_signalfd(mask);
  }
  return result;
}

long sys_rt_sigsuspend(const uint64_t* mask, size_t set_size) {
  if (set_size != kSetSize) return -EINVAL;
  uint64_t wanted;
  if (copy_in(&wanted, mask) != 0) return -EFAULT;
  GreenThread* thread = current_thread();
  thread->saved_blocked = thread->blocked;
  signals().set_blocked(thread, wanted);
  park_for_signal();
  thread->restore_blocked = true;
  return -kRestartNoHandler;
}

long sys_rt_sigpending(uint64_t* set, size_t set_size) {
  if (set_size > kSetSize) return -EINVAL;
  post_arrived_signals();
  GreenThread* thread = current_thread();
  uint64_t pending = signals().pending(thread);
  // Those that a signalfd is to read wait in the Linux kernel.
  if (const uint64_t mask = signals().kernel_mask(); mask != 0) {
    uint64_t in_kernel = 0;
    rt::raw_syscall(SYS_rt_sigpending, &in_kernel, kSetSize);
    pending |= in_kernel & mask;
  }
  pending &= thread->blocked;
  return copy_out_bytes(set, &pending, set_size);
}

long sys_rt_sigtimedwait(const uint64_t* set, siginfo_t* info, const timespec* timeout,
                         size_t set_size) {
  if (set_size != kSetSize) return -EINVAL;
  uint64_t wanted;
  if (copy_in(&wanted, set) != 0) return -EFAULT;
  rt::Deadline deadline;
  if (const long error = load_limit(timeout, &deadline); error != 0) return error;
  GreenThread* thread = current_thread();
  siginfo_t taken;
  for (;;) {
    post_arrived_signals();
    signals().set_waiting_for(thread, wanted);
    int signal = signals().take_waited_for(thread, wanted, &taken);
    rt::WakeReason reason = rt::WakeReason::kNone;
    if (signal == 0 && deadline > rt::monotonic_now()) {
      // An interrupt that is pending for another reason ends the wait at once, as it should.
      rt::begin_wait(rt::WaitKind::kSignal, nullptr);
      reason = rt::park(deadline);
      post_arrived_signals();
      signal = signals().take_waited_for(thread, wanted, &taken);
    }
    const bool interrupted =
        reason == rt::WakeReason::kInterrupted && signal == 0 && signals().has_accepted(thread);
    signals().set_waiting_for(thread, 0);
    if (signal != 0) {
      if (info != nullptr && copy_out(info, taken) != 0) return -EFAULT;
      return signal;
    }
    if (interrupted) return -EINTR;
    if (deadline <= rt::monotonic_now()) return -EAGAIN;
  }
}

long sys_pause() {
  park_for_signal();
  return -kRestartNoHandler;
}

// To others the kernel delivers. To ourselves we do, and before this call returns, as POSIX has it:
// the kernel would leave the choice of the OS thread to chance. (What cannot be caught stays with
// the kernel, and so do groups that we are in: there the signal may come a moment later.)
long sys_kill(int pid, int signal) {
  if (pid != own_pid() || !is_signal(signal) || signal == 0 ||
      (signal_bit(signal) & kUnblockable) != 0) {
    return rt::raw_syscall(SYS_kill, pid, signal);
  }
  signals().post(make_info(signal, SI_USER), 0);
  return 0;
}

long sys_tkill(int tid, int signal) {
  if (tid <= 0) return -EINVAL;
  const long result = post_to(tid, make_info(signal, SI_TKILL));
  return result == -ESRCH ? rt::raw_syscall(SYS_tkill, tid, signal) : result;
}

long sys_tgkill(int pid, int tid, int signal) {
  if (tid <= 0 || pid <= 0) return -EINVAL;
  if (pid != own_pid()) return rt::raw_syscall(SYS_tgkill, pid, tid, signal);
  return post_to(tid, make_info(signal, SI_TKILL));
}

long sys_rt_sigqueueinfo(int pid, int signal, siginfo_t* info) {
  siginfo_t copy;
  if (copy_in(&copy, info) != 0) return -EFAULT;
  if (is_forged(copy, pid)) return -EPERM;
  if (pid != own_pid()) return rt::raw_syscall(SYS_rt_sigqueueinfo, pid, signal, info);
  if (!is_signal(signal)) return -EINVAL;
  if (signal == 0) return 0;
  if ((signal_bit(signal) & kUnblockable) != 0) return rt::raw_syscall(SYS_kill, pid, signal);
  copy.si_signo = signal;
  return signals().post(copy, 0);
}

long sys_rt_tgsigqueueinfo(int pid, int tid, int signal, siginfo_t* info) {
  siginfo_t copy;
  if (copy_in(&copy, info) != 0) return -EFAULT;
  if (tid <= 0 || pid <= 0) return -EINVAL;
  if (is_forged(copy, tid)) return -EPERM;
  if (pid != own_pid()) {
    if (tid == current_thread()->tid)
      return -ESRCH;  // by a name that the Linux kernel does not know
    return rt::raw_syscall(SYS_rt_tgsigqueueinfo, pid, tid, signal, info);
  }
  copy.si_signo = signal;
  return post_to(tid, copy);
}

}  // namespace tendril::kernel
