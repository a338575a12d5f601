// Signals of the CPU: SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP.
//
// The handler runs on the worker's alternate stack, because the fault may be the overflow of the
// thread's own; the program's handler runs where it natively would, see moved_frame.hpp.
#include <sys/prctl.h>
#include <sys/ucontext.h>

#include "interpose/kernel/alternate_stack.hpp"
#include "interpose/kernel/failure_report.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/robust_list.hpp"
#include "interpose/kernel/signal_gate.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "interpose/trap/delivery.hpp"
#include "interpose/trap/fault_report.hpp"
#include "interpose/trap/held_flags.hpp"
#include "interpose/trap/hidden_fsgsbase.hpp"
#include "interpose/trap/moved_frame.hpp"
#include "interpose/trap/observers.hpp"
#include "interpose/trap/selector.hpp"
#include "interpose/trap/trap.hpp"
#include "runtime/hub/seeded_schedule.hpp"
#include "runtime/platform/forgotten_fs_base.hpp"
#include "runtime/platform/syscall.hpp"

extern "C" void tendril_restore_rt();

namespace tendril::trap {
namespace {

constexpr unsigned long kSaRestorer = 0x04000000;

bool recover_user_copy(ucontext_t* frame) noexcept {
  greg_t& rip = frame->uc_mcontext.gregs[REG_RIP];
  const auto* at = reinterpret_cast<const char*>(rip);
  if (at < tendril_user_code_begin || at >= tendril_user_code_end) return false;
  rip = reinterpret_cast<greg_t>(at < tendril_user_word_begin ? tendril_user_copy_fixup
                                                              : tendril_user_word_fixup);
  return true;
}

// A thread that has forbidden itself to read the time stamp counter (PR_SET_TSC) has forbidden it
// to the runtime on its kernel thread as well, which reads it for its own purposes and in the vDSO.
// Reads it in the runtime's stead.
bool recover_counter(ucontext_t* frame) noexcept {
  greg_t* registers = frame->uc_mcontext.gregs;
  const auto* at = reinterpret_cast<const unsigned char*>(registers[REG_RIP]);
  const bool plain = at[0] == 0x0f && at[1] == 0x31;                      // rdtsc
  const bool with_cpu = at[0] == 0x0f && at[1] == 0x01 && at[2] == 0xf9;  // rdtscp
  if (!plain && !with_cpu) return false;
  int mode = PR_TSC_ENABLE;
  rt::raw_syscall(SYS_prctl, PR_GET_TSC, &mode);
  if (mode != PR_TSC_SIGSEGV) return true;  // allowed again since: the instruction runs once more
  rt::raw_syscall(SYS_prctl, PR_SET_TSC, PR_TSC_ENABLE);
  unsigned cpu = 0;
  const uint64_t counter = __builtin_ia32_rdtscp(&cpu);
  rt::raw_syscall(SYS_prctl, PR_SET_TSC, PR_TSC_SIGSEGV);
  registers[REG_RAX] = static_cast<greg_t>(counter & 0xffffffff);
  registers[REG_RDX] = static_cast<greg_t>(counter >> 32);
  if (with_cpu) registers[REG_RCX] = static_cast<greg_t>(cpu);
  registers[REG_RIP] += plain ? 2 : 3;
  return true;
}

// On the thread's stack, in runtime mode; the selector says so already.
void deliver_fault(MovedFrame* fault, long) {
  kernel::signals().post(fault->info, kernel::current_thread()->tid);
  deliver_signals(&fault->context, 0, kNoCall);
  kernel::prepare_return(&fault->context);
  tendril_sigreturn(&fault->context);
}

// Lets the kernel do what it would have done: the instruction runs again and dies of it.
void die_naturally(int signal) noexcept {
  kernel::report_seed_of_failure();
  if (rt::current_worker() != nullptr) kernel::leave_robust_mutexes_to_successor();
  const kernel::KernelAction plain{};
  rt::raw_syscall(SYS_rt_sigaction, signal, &plain, nullptr, 8);
}

void on_fault(int signal, siginfo_t* info, void* context) {
  auto* frame = static_cast<ucontext_t*>(context);
  end_alignment_checks(frame);
  if (hold_flag(signal, *info, frame)) return;
  if (recover_user_copy(frame)) return;
  const bool from_cpu = info->si_code > 0;
  const bool runtimes_own = rt::current_worker() == nullptr || in_runtime();
  if (info->si_code == SI_KERNEL && runtimes_own && recover_counter(frame)) return;
  if (rt::current_worker() == nullptr) return die_naturally(signal);
  if (in_runtime()) {
    if (from_cpu) return die_naturally(signal);
    kernel::signals().post(*info, 0, kernel::SentBy::kKernel);
    return;
  }
  enter_runtime();
  // A single step that ends in a trampoline stays there: the program sees the one after it. What
  // faults is in no middle of a window.
  greg_t& rip = frame->uc_mcontext.gregs[REG_RIP];
  const greg_t struck = rip;
  const bool settled = settle(frame);
  if (is_single_step(signal, *info) && (!settled || rip != struck)) {
    rip = struck;
    return leave_runtime();
  }
  kernel::GreenThread* thread = kernel::current_thread();
  const kernel::KernelAction action = kernel::signals().action(signal);
  const bool handled = action.handler != reinterpret_cast<void*>(SIG_DFL) &&
                       action.handler != reinterpret_cast<void*>(SIG_IGN) &&
                       (thread->blocked & kernel::signal_bit(signal)) == 0;
  if (from_cpu && !handled) {
    if (signal == SIGSEGV) report_stack_overflow(thread, info->si_addr, frame);
    die_naturally(signal);
    leave_runtime();
    return;
  }
  // Move to the stack that the handler is to run on.
  auto sp = static_cast<uintptr_t>(frame->uc_mcontext.gregs[REG_RSP]);
  const stack_t& alternate = thread->alternate_stack;
  uintptr_t lowest = 0;
  if ((action.flags & SA_ONSTACK) != 0 && kernel::takes_handler(alternate, sp)) {
    lowest = reinterpret_cast<uintptr_t>(alternate.ss_sp);
    sp = reinterpret_cast<uintptr_t>(alternate.ss_sp) + alternate.ss_size;
  } else {
    sp -= 128;
  }
  siginfo_t told = *info;
  told.si_signo = signal;
  MovedFrame* moved = move_frame(frame, told, sp, lowest);
  if (moved == nullptr) {  // what the kernel calls a forced SIGSEGV
    report_stack_overflow(thread, info->si_addr, frame);
    die_naturally(SIGSEGV);
    leave_runtime();
    return;
  }
  return_into(frame, moved, deliver_fault, 0);
  // Still in runtime mode: deliver_fault leaves it.
}

// Where the Linux kernel forgets FS bases. This comes before all else, which looks at
// thread-locals.
void on_fault_or_lost_base(int signal, siginfo_t* info, void* context) {
  end_alignment_checks(static_cast<const ucontext_t*>(context));
  const bool lost = rt::put_back_fs_base();
  if (lost) note_lost_base(static_cast<ucontext_t*>(context));
  if (lost && signal == SIGSEGV && info->si_code > 0) return;  // the instruction runs again
  on_fault(signal, info, context);
}

}  // namespace

}  // namespace tendril::trap

namespace tendril::kernel {

void install_fault_handler(int signal, const KernelAction& wanted) noexcept {
  const bool ours = signal == SIGSEGV || signal == SIGBUS ||  // our copies fault on purpose
                    rt::seeded_schedule().is_on();            // a death of it names the seed
  if (!ours && (wanted.handler == reinterpret_cast<void*>(SIG_DFL) ||
                wanted.handler == reinterpret_cast<void*>(SIG_IGN))) {
    rt::raw_syscall(SYS_rt_sigaction, signal, &wanted, nullptr, 8);
    return;
  }
  const auto entry = rt::kernel_forgets_fs_base ? trap::on_fault_or_lost_base : trap::on_fault;
  const KernelAction action{reinterpret_cast<void*>(entry),
                            SA_SIGINFO | SA_NODEFER | SA_ONSTACK | trap::kSaRestorer,
                            reinterpret_cast<void*>(tendril_restore_rt),
                            // no time slice may end on the worker's alternate stack
                            ~kFaults};
  rt::raw_syscall(SYS_rt_sigaction, signal, &action, nullptr, 8);
}

}  // namespace tendril::kernel
