#include "interpose/kernel/default_action.hpp"

#include <signal.h>

#include "interpose/kernel/failure_report.hpp"
#include "interpose/kernel/kernel_action.hpp"
#include "interpose/kernel/robust_list.hpp"
#include "interpose/kernel/signal_queue.hpp"
#include "runtime/platform/forgotten_fs_base.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {

DefaultAction default_action(int signal) noexcept {
  switch (signal) {
    case SIGCHLD:
    case SIGURG:
    case SIGWINCH:
      return DefaultAction::kIgnore;
    case SIGCONT:
      return DefaultAction::kContinue;
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
      return DefaultAction::kStop;
    default:
      return DefaultAction::kTerminate;
  }
}

void take_default_action(int signal) noexcept {
  const bool terminates = default_action(signal) == DefaultAction::kTerminate;
  if (terminates) {
    report_seed_of_failure();
    leave_robust_mutexes_to_successor();
    rt::tell_kernel_fs_base();  // for the core
  }
  KernelAction ours;
  const KernelAction plain{};
  kernel_sigaction(signal, &plain, &ours);
  const uint64_t unblock = signal_bit(signal);
  uint64_t old_mask = 0;
  rt::raw_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &unblock, &old_mask, kSetSize);
  rt::raw_syscall(SYS_tgkill, rt::raw_syscall(SYS_getpid), rt::raw_syscall(SYS_gettid), signal);
  // A stop comes back, and the init process of a PID namespace, which the kernel lets live. Of the
  // others a kick may have told meanwhile.
  old_mask &= unblock;
  rt::raw_syscall(SYS_rt_sigprocmask, SIG_BLOCK, &old_mask, nullptr, kSetSize);
  kernel_sigaction(signal, &ours, nullptr);
  if (terminates) rt::withdraw_fs_base();
}

}  // namespace tendril::kernel
