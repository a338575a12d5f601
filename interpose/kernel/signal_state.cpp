#include "interpose/kernel/signal_state.hpp"

#include <sys/resource.h>
#include <sys/utsname.h>

#include <cerrno>
#include <new>

#include "interpose/kernel/default_action.hpp"
#include "interpose/kernel/posix_timers.hpp"
#include "interpose/kernel/signal_gate.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "runtime/hub/interruptible_call.hpp"
#include "runtime/hub/park.hpp"
#include "runtime/platform/process_wide.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

void* const kDefault = reinterpret_cast<void*>(SIG_DFL);
void* const kIgnore = reinterpret_cast<void*>(SIG_IGN);

// A thread that computes on another worker is not to wait for the end of its time slice.
void interrupt_thread(GreenThread* thread) noexcept {
  const bool was_told = thread->fiber->interrupt_pending.load(std::memory_order_seq_cst);
  rt::interrupt(thread->fiber);
  // Each kick is queued: where signals come faster than they are delivered it would be ever more.
  if (was_told) return;
  const rt::Worker* worker = thread->fiber->worker;
  if (worker != rt::current_worker_unchecked() &&
      thread->fiber->state.load(std::memory_order_relaxed) == rt::FiberState::kRunning) {
    rt::interrupt_call(worker->os_tid);
  }
}

// What the kernel gives EAGAIN for if it cannot keep the siginfo. Of others the program loses that,
// at worst.
bool must_be_queued(const siginfo_t& info) noexcept {
  return info.si_signo >= kFirstRealTime && info.si_code != SI_USER;
}

// The kernel's rule, with what is queued in this process for what is queued for its user.
bool may_queue(const siginfo_t& info, const SignalQueue& queue) noexcept {
  const bool is_standard = info.si_signo < kFirstRealTime;
  // Always, or not at all since it is pending already.
  if (is_standard && (info.si_code >= 0 || (queue.set() & signal_bit(info.si_signo)) != 0)) {
    return true;
  }
  rlimit limit{};
  rt::raw_syscall(SYS_prlimit64, 0, RLIMIT_SIGPENDING, nullptr, &limit);
  return SignalQueue::count_all() < limit.rlim_cur;
}

// By its release, "6.13…": asking it by a timer would take one of a user's signals.
bool kernel_takes_expirations_back() noexcept {
  constexpr int kMajor = 6;
  constexpr int kMinor = 13;
  utsname name;
  if (rt::raw_syscall(SYS_uname, &name) != 0) return false;
  int numbers[2] = {};
  const char* at = name.release;
  for (int& number : numbers) {
    for (; *at >= '0' && *at <= '9'; ++at) number = number * 10 + (*at - '0');
    if (*at == '.') ++at;
  }
  return numbers[0] > kMajor || (numbers[0] == kMajor && numbers[1] >= kMinor);
}

}  // namespace

static_assert(kNobody == PosixTimers::kGone);

int addressee(const siginfo_t& info) noexcept {
  return info.si_code == SI_TIMER ? posix_timers().target(info.si_timerid) : 0;
}

SignalState& signals() noexcept { return rt::MadeAtFirstUse<SignalState>::get(); }

// What the kernel must do for a signal, given what the program wants: nothing for ignored ones (so
// that children are reaped and exec passes it on), our handler for the rest. Faults without a
// handler keep the kernel's own death, with the core of the faulting instruction.
void SignalState::install_kernel_action(int signal) noexcept {
  const KernelAction& wanted = actions_[signal];
  if (signal == SIGKILL || signal == SIGSTOP || signal == SIGSYS || signal == kKickSignal) return;
  if ((kFaults & signal_bit(signal)) != 0) {
    install_fault_handler(signal, wanted);
    return;
  }
  if (wanted.handler == kIgnore) {
    kernel_sigaction(signal, &wanted, nullptr);
  } else {
    install_signal_handler(signal, wanted.handler != kDefault,
                           wanted.flags & (SA_NOCLDSTOP | SA_NOCLDWAIT));
  }
}

void SignalState::import_from_kernel(GreenThread* main) noexcept {
  uint64_t everything = ~uint64_t{0};
  uint64_t mask = 0;
  rt::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &everything, &mask, kSetSize);
  main->blocked = mask;
  rt::raw_syscall(SYS_sigaltstack, nullptr, &main->alternate_stack);
  main->alternate_stack.ss_flags &= ~SS_ONSTACK;
  for (int signal = 1; signal <= kLastSignal; ++signal) {
    kernel_sigaction(signal, nullptr, &actions_[signal]);
    install_kernel_action(signal);
  }
  // Pending ones come out of the kernel through our handlers as soon as nothing is blocked.
}

void SignalState::export_to_kernel(GreenThread* thread, uint64_t* kernel_mask) noexcept {
  for (int signal = 1; signal <= kLastSignal; ++signal) {
    if (signal == SIGKILL || signal == SIGSTOP) continue;
    KernelAction action = actions_[signal];
    kernel_sigaction(signal, &action, nullptr);
  }
  rt::raw_syscall(SYS_sigaltstack, &thread->alternate_stack, nullptr);
  *kernel_mask = thread->blocked;
}

bool SignalState::is_ignored(int signal) const noexcept {
  const void* handler = actions_[signal].handler;
  return handler == kIgnore ||
         (handler == kDefault && (default_action(signal) == DefaultAction::kIgnore ||
                                  default_action(signal) == DefaultAction::kContinue));
}

long SignalState::set_action(int signal, const KernelAction* wanted, KernelAction* old) noexcept {
  if (signal < 1 || signal > kLastSignal) return -EINVAL;
  if (wanted != nullptr && (signal == SIGKILL || signal == SIGSTOP)) return -EINVAL;
  rt::SpinGuard guard(lock_);
  if (old != nullptr) *old = actions_[signal];
  if (wanted == nullptr) return 0;
  const void* const handler = actions_[signal].handler;
  if (handler != kDefault && handler != kIgnore) {
    former_[signal] = actions_[signal];
    if (wanted->handler == kDefault) hand_to_handler(signal);
  }
  actions_[signal] = *wanted;
  actions_[signal].mask &= ~kUnblockable;
  install_kernel_action(signal);
  if (is_ignored(signal)) {  // POSIX: pending ones are discarded, blocked or not
    process_pending_.drop(signal_bit(signal));
    rt::SpinGuard thread_guard(threads().lock);
    for (GreenThread* t = threads().first(); t != nullptr; t = threads().next(t)) {
      t->pending.drop(signal_bit(signal));
    }
  }
  return 0;
}

// Precondition: lock_. What the kernel has been sent so far finds the handler that the program has
// so far: natively its thread would have run it before it could take the handler away. Here it may
// wait for another worker, whose OS thread the kernel has chosen.
void SignalState::hand_to_handler(int signal) noexcept {
  const uint64_t not_ours =
      kernel_mask_.load(std::memory_order_relaxed) | signal_bit(SIGSYS) | signal_bit(kKickSignal);
  if ((not_ours & signal_bit(signal)) != 0) return;
  const uint64_t set = signal_bit(signal);
  const timespec now{0, 0};
  siginfo_t info;
  while (rt::raw_syscall(SYS_rt_sigtimedwait, &set, &info, &now, kSetSize) > 0) {
    post_taken(info, SentBy::kKernelToHandler);
  }
}

// Precondition: lock_. What we have taken from the kernel ourselves; its default action is not
// taken.
void SignalState::post_taken(const siginfo_t& info, SentBy sender) noexcept {
  const int tid = addressee(info);
  if (tid == kNobody) return;
  rt::SpinGuard guard(threads().lock);
  GreenThread* target = tid != 0 ? threads().find(tid) : nullptr;
  if (tid == 0 || target != nullptr) post_locked(info, target, sender);
}

// Precondition: lock_. The program is given an expiration: what has expired since is an overrun,
// though it may wait in the kernel for the OS thread of another worker.
void SignalState::complete_expiration(siginfo_t* given, SignalMarks marks) noexcept {
  if (!marks.is_expiration) return;
  const uint64_t set = signal_bit(given->si_signo);
  const timespec now{0, 0};
  siginfo_t info;
  // With its signal the timer is armed again: one more is all that is taken, it may come at once.
  while (rt::raw_syscall(SYS_rt_sigtimedwait, &set, &info, &now, kSetSize) > 0) {
    if (info.si_code == SI_TIMER && info.si_timerid == given->si_timerid) {
      add_overruns(given, info);
      break;
    }
    post_taken(info, marks.is_promised ? SentBy::kKernelToHandler : SentBy::kKernel);
  }
  posix_timers().note_delivery(given->si_timerid, given->si_overrun);
}

const KernelAction& SignalState::action_for(int signal, bool is_promised) const noexcept {
  const KernelAction& now = actions_[signal];
  return is_promised && now.handler == kDefault ? former_[signal] : now;
}

KernelAction SignalState::action(int signal) noexcept {
  rt::SpinGuard guard(lock_);
  return actions_[signal];
}

// As the kernel does: the main thread if it will have it, else any.
GreenThread* SignalState::find_taker(int signal, int preferred) noexcept {
  const auto accepts = [&](const GreenThread* t) {
    return (accepted(t) & signal_bit(signal)) != 0;
  };
  if (preferred == kWhoRuns) {
    for (GreenThread* t = threads().first(); t != nullptr; t = threads().next(t)) {
      if (t->fiber->state.load() == rt::FiberState::kRunning && accepts(t)) return t;
    }
  } else if (preferred != 0) {
    GreenThread* one = threads().find(preferred);
    if (one != nullptr && accepts(one)) return one;
  }
  for (GreenThread* t = threads().first(); t != nullptr; t = threads().next(t)) {
    if (accepts(t)) return t;
  }
  return nullptr;
}

// Precondition: lock_ and the lock of threads(). As the Linux kernel does, whatever becomes of the
// signal itself: a stop that is pending is undone by SIGCONT, and the other way round.
void SignalState::undo_opposite(int signal) noexcept {
  constexpr uint64_t kStops = signal_bit(SIGTSTP) | signal_bit(SIGTTIN) | signal_bit(SIGTTOU);
  const bool stops = (signal_bit(signal) & kStops) != 0;
  if (!stops && signal != SIGCONT) return;
  const uint64_t undone = stops ? signal_bit(SIGCONT) : kStops;
  process_pending_.drop(undone);
  for (GreenThread* t = threads().first(); t != nullptr; t = threads().next(t)) {
    t->pending.drop(undone);
  }
}

// Precondition: lock_ and the lock of threads(), which keeps the target alive. kDefault: the
// signal's default action is to be taken.
SignalState::Posted SignalState::post_locked(const siginfo_t& info, GreenThread* target,
                                             SentBy sender, int preferred) noexcept {
  const int signal = info.si_signo;
  undo_opposite(signal);
  GreenThread* taker = target != nullptr ? target : find_taker(signal, preferred);
  const bool wanted = taker != nullptr && (accepted(taker) & signal_bit(signal)) != 0;
  const bool waited_for = taker != nullptr && (taker->waiting_for & signal_bit(signal)) != 0;
  const bool blocked =
      target != nullptr ? (target->blocked & signal_bit(signal)) != 0 : !wanted || waited_for;
  if (is_ignored(signal) && !blocked && !waited_for) return Posted::kIgnored;
  SignalQueue& queue = target != nullptr ? target->pending : process_pending_;
  const bool has_room = sender != SentBy::kProgram || may_queue(info, queue);
  if (!has_room && must_be_queued(info)) return Posted::kNoRoom;
  const SignalMarks marks{
      .is_promised = sender == SentBy::kKernelToHandler && wanted && !waited_for,
      .is_expiration = sender != SentBy::kProgram && info.si_code == SI_TIMER};
  if (marks.is_expiration) posix_timers().note_arrival(info.si_timerid, signal);
  if (wanted && !waited_for && action_for(signal, marks.is_promised).handler == kDefault) {
    return Posted::kDefault;  // or a stop
  }
  if (has_room) {
    queue.push(info, marks);
  } else {
    queue.push_without_info(signal);
  }
  if (target != nullptr) target->shown_by_edge &= ~signal_bit(signal);
  // A thread that waits for a signalfd of its own signals takes one that it has blocked, too.
  const bool shown = target != nullptr && (signalfd_set_.load() & signal_bit(signal)) != 0 &&
                     target->watches_signalfds.load(std::memory_order_seq_cst);
  if (wanted || shown) interrupt_thread(taker);
  return Posted::kPending;
}

void SignalState::raise_in_stead(int signal) noexcept {
  siginfo_t info{};
  info.si_signo = signal;
  info.si_code = SI_USER;
  info.si_pid = static_cast<pid_t>(rt::raw_syscall(SYS_getpid));
  info.si_uid = static_cast<uid_t>(rt::raw_syscall(SYS_getuid));
  post(info, current_thread()->tid);
}

long SignalState::post(const siginfo_t& info, int tid, SentBy sender, int preferred) noexcept {
  Posted posted;
  {
    rt::SpinGuard guard(lock_);
    {
      rt::SpinGuard thread_guard(threads().lock);
      GreenThread* target = tid != 0 ? threads().find(tid) : nullptr;
      if (tid != 0 && target == nullptr) return -ESRCH;
      if (info.si_signo == 0) return 0;
      posted = post_locked(info, target, sender, preferred);
    }
    if (posted == Posted::kNoRoom) return -EAGAIN;
    if (posted == Posted::kPending &&
        (signalfd_set_.load(std::memory_order_relaxed) & signal_bit(info.si_signo)) != 0) {
      update_kernel_mask();
    }
  }
  if (posted == Posted::kDefault) take_default_action(info.si_signo);
  return 0;
}

void SignalState::refresh_interrupt(GreenThread* thread) noexcept {
  if (((thread->pending.set() | process_pending_.set()) & accepted(thread)) != 0) {
    interrupt_thread(thread);
  }
}

void SignalState::set_blocked(GreenThread* thread, uint64_t mask) noexcept {
  rt::SpinGuard guard(lock_);
  thread->blocked = mask & ~kUnblockable;
  take_back_from_kernel(~thread->blocked);
  refresh_interrupt(thread);
  if (signalfd_set_ != 0) update_kernel_mask();
}

void SignalState::set_waiting_for(GreenThread* thread, uint64_t set) noexcept {
  rt::SpinGuard guard(lock_);
  thread->waiting_for = set & ~kUnblockable;
  take_back_from_kernel(thread->waiting_for);
  if (set != 0) refresh_interrupt(thread);
  if (signalfd_set_ != 0) update_kernel_mask();
}

int SignalState::next_deliverable(GreenThread* thread, bool takes, siginfo_t* info,
                                  KernelAction* action) noexcept {
  for (;;) {
    int default_signal = 0;
    {
      rt::SpinGuard guard(lock_);
      const uint64_t wanted = ~thread->blocked;
      SignalMarks marks;
      SignalQueue* queue = &thread->pending;
      int signal = queue->first(wanted, &marks);
      if (signal == 0) {
        queue = &process_pending_;
        signal = queue->first(wanted, &marks);
      }
      if (signal == 0) {
        // Under the lock: a post that comes later sets it again.
        thread->fiber->interrupt_pending.store(false, std::memory_order_seq_cst);
        return 0;
      }
      const bool ignored = is_ignored(signal);  // by default: it was delivered all the same
      if (!ignored) {
        *action = action_for(signal, marks.is_promised);
        if (action->handler != kDefault && !takes) return signal;
      }
      queue->pop(signal_bit(signal), info, &marks);
      if (ignored) {
        complete_expiration(info, marks);
        continue;
      }
      if (action->handler != kDefault) {
        if ((action->flags & SA_RESETHAND) != 0) {
          actions_[signal].handler = kDefault;
          former_[signal].handler = kDefault;  // the next to come is no longer promised to it
        }
        complete_expiration(info, marks);
        return signal;
      }
      default_signal = signal;
    }
    take_default_action(default_signal);
  }
}

int SignalState::take_waited_for(GreenThread* thread, uint64_t set, siginfo_t* info) noexcept {
  rt::SpinGuard guard(lock_);
  SignalMarks marks;
  int signal = thread->pending.pop(set & ~kUnblockable, info, &marks);
  if (signal == 0) signal = process_pending_.pop(set & ~kUnblockable, info, &marks);
  if (signal != 0) complete_expiration(info, marks);
  return signal;
}

bool SignalState::has_accepted(GreenThread* thread) noexcept {
  {
    rt::SpinGuard guard(lock_);
    if (((thread->pending.set() | process_pending_.set()) & accepted(thread)) != 0) return true;
    thread->fiber->interrupt_pending.store(false, std::memory_order_seq_cst);
  }
  carry_out_scheduling(thread);  // what else it may have been interrupted for
  return false;
}

void SignalState::hand_pending_to_kernel(GreenThread* thread) noexcept {
  rt::SpinGuard guard(lock_);
  const long pid = rt::raw_syscall(SYS_getpid);
  const long tid = rt::raw_syscall(SYS_gettid);
  siginfo_t info;
  while (int signal = thread->pending.pop(~uint64_t{0}, &info)) {
    rt::raw_syscall(SYS_rt_tgsigqueueinfo, pid, tid, signal, &info);
  }
  while (int signal = process_pending_.pop(~uint64_t{0}, &info)) {
    if (info.si_code >= 0 && pid != tid) {  // see hand_blocked_to_kernel: the number must do
      rt::raw_syscall(SYS_kill, pid, signal);
    } else {
      rt::raw_syscall(SYS_rt_sigqueueinfo, pid, signal, &info);
    }
  }
}

// The lock keeps back what expires by the new setting until the old is forgotten.
long SignalState::change_timer(int timer, long number, const long (&arguments)[6]) noexcept {
  const bool takes_back = kernel_takes_expirations_back();
  rt::SpinGuard guard(lock_);
  const long* a = arguments;
  const long result = rt::raw_syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  if (result != 0) return result;
  posix_timers().note_delivery(timer, 0);
  if (!takes_back) return result;
  process_pending_.drop_expirations(timer);
  rt::SpinGuard thread_guard(threads().lock);
  for (GreenThread* t = threads().first(); t != nullptr; t = threads().next(t)) {
    t->pending.drop_expirations(timer);
  }
  return result;
}

uint64_t SignalState::pending(GreenThread* thread) noexcept {
  rt::SpinGuard guard(lock_);
  return thread->pending.set() | process_pending_.set();
}

bool SignalState::handler_may_run() noexcept {
  // Those that only what runs brings about, and glibc's own two.
  constexpr uint64_t kNotFromOutside = kFaults | signal_bit(SIGABRT) | signal_bit(SIGSYS) |
                                       signal_bit(SIGPIPE) | signal_bit(32) | signal_bit(33);
  rt::SpinGuard guard(lock_);
  rt::SpinGuard thread_guard(threads().lock);
  for (int signal = 1; signal <= kLastSignal; ++signal) {
    void* handler = actions_[signal].handler;
    if ((kNotFromOutside & signal_bit(signal)) == 0 &&
        handler != reinterpret_cast<void*>(SIG_DFL) &&
        handler != reinterpret_cast<void*>(SIG_IGN) && find_taker(signal) != nullptr) {
      return true;
    }
  }
  return false;
}

void SignalState::reroute_process_signals() noexcept {
  rt::SpinGuard guard(lock_);
  rt::SpinGuard thread_guard(threads().lock);
  for (uint64_t left = process_pending_.set(); left != 0; left &= left - 1) {
    if (GreenThread* taker = find_taker(__builtin_ctzll(left) + 1)) interrupt_thread(taker);
  }
}

void SignalState::reset_after_fork() noexcept {
  lock_.reset_after_fork();
  process_pending_.drop(~uint64_t{0});  // POSIX: nothing is pending in the child
  SignalQueue::reset_count_after_fork();
  signalfd_set_ = 0;
  kernel_mask_ = 0;
  withheld_ = 0;
}

void SignalState::clear_handlers_after_fork() noexcept {
  for (KernelAction& action : actions_) {
    action = {.handler = action.handler == kIgnore ? kIgnore : kDefault};
  }
}

}  // namespace tendril::kernel
