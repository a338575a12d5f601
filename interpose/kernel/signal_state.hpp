// Signals as the program sees them: dispositions, masks, pending sets.
//
// The kernel-level handlers are ours (interpose/trap/signal_entry.cpp); a signal that arrives is
// posted here, to a thread or to the process, and delivered by its green thread at its next way out
// of the runtime. All workers keep one constant kernel mask, in which nothing is blocked.
#pragma once

#include <signal.h>

#include <cstdint>

#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/kernel_action.hpp"
#include "interpose/kernel/signal_queue.hpp"
#include "runtime/platform/spin_lock.hpp"

namespace tendril::kernel {

inline constexpr uint64_t kUnblockable = signal_bit(SIGKILL) | signal_bit(SIGSTOP);
// Signals of the CPU: the kernel-level handler for them is in trap/fault.cpp.
inline constexpr uint64_t kFaults = signal_bit(SIGSEGV) | signal_bit(SIGBUS) | signal_bit(SIGILL) |
                                    signal_bit(SIGFPE) | signal_bit(SIGTRAP);
// The kernel-level signal by which we interrupt native calls: glibc's SIGSETXID, which in a green
// process never reaches the kernel by its own name.
inline constexpr int kKickSignal = 33;

// Whom a signal comes from: a call of this process, or the Linux kernel, which has chosen the
// handler that the program had at that moment, if it had one.
enum class SentBy : uint8_t { kProgram, kKernel, kKernelToHandler };

class SignalState {
 public:
  // Takes over from the kernel what the process has set up; called once, on the main thread, before
  // anything is green. Gives it back, in the child of fork or before exec: afterwards the kernel
  // does what the program asked for.
  void import_from_kernel(GreenThread* main) noexcept;
  void export_to_kernel(GreenThread* thread, uint64_t* kernel_mask) noexcept;

  // sigaction. The result is -errno.
  long set_action(int signal, const KernelAction* wanted, KernelAction* old) noexcept;
  KernelAction action(int signal) noexcept;

  // Makes a signal pending for the thread with that tid, or for the process (0), and interrupts a
  // thread that will take it. Ignored ones vanish; a fatal default kills the process here and now.
  // -ESRCH if there is no such thread: signal number 0 only asks for that. -EAGAIN if the program
  // may queue no more (RLIMIT_SIGPENDING). A thread that accepts one that the kernel has given to a
  // handler runs that one, even if the default action has been set since. `preferred`: who takes a
  // signal of the process if it will have it; 0: the main thread.
  static constexpr int kWhoRuns = -1;  // some thread that is running
  long post(const siginfo_t& info, int tid, SentBy sender = SentBy::kProgram,
            int preferred = 0) noexcept;

  // What the Linux kernel has sent to the OS thread that made a call for the running thread.
  void raise_in_stead(int signal) noexcept;

  // Sets the thread's mask, and interrupts it if that lets something through.
  void set_blocked(GreenThread* thread, uint64_t mask) noexcept;

  // Takes the next signal for which the thread must run a handler. 0: there is none, and
  // interrupt_pending is cleared. Ignored signals are dropped on the way, defaults carried out.
  // Applies SA_RESETHAND.
  int take_deliverable(GreenThread* thread, siginfo_t* info, KernelAction* action) noexcept {
    return next_deliverable(thread, /*takes=*/true, info, action);
  }
  // The same, but leaves that signal pending: *action is what will run.
  int first_deliverable(GreenThread* thread, KernelAction* action) noexcept {
    siginfo_t info;
    return next_deliverable(thread, /*takes=*/false, &info, action);
  }

  // Takes a pending signal of the set, for sigtimedwait. 0 if there is none.
  int take_waited_for(GreenThread* thread, uint64_t set, siginfo_t* info) noexcept;

  // For the duration of a sigtimedwait: these wake the thread though they are blocked.
  void set_waiting_for(GreenThread* thread, uint64_t set) noexcept;

  // True if a signal that the thread accepts is pending. If not, interrupt_pending was stale and is
  // cleared.
  bool has_accepted(GreenThread* thread) noexcept;

  // Before exec, with everything blocked in the kernel: makes pending there what is pending here,
  // for the new program inherits it.
  void hand_pending_to_kernel(GreenThread* thread) noexcept;

  // timer_settime or timer_delete, after which no earlier expiration counts. Since 6.13 the Linux
  // kernel takes the signal back that the program has not been given yet; before it was delivered,
  // and POSIX allows both.
  long change_timer(int timer, long number, const long (&arguments)[6]) noexcept;

  // True if a signal from outside could run a handler of the program on one of its threads.
  bool handler_may_run() noexcept;

  // Pending for the thread or the process, blocked or not.
  uint64_t pending(GreenThread* thread) noexcept;

  // The thread is going away: what is pending for the process may need another taker.
  void reroute_process_signals() noexcept;

  // A signalfd reads these: what no thread accepts must then be pending in the kernel, where the
  // descriptor finds it.
  void note_signalfd(uint64_t mask) noexcept;
  // The same of one that the process had when it became green. Before a worker is armed.
  void import_signalfd(uint64_t mask) noexcept;
  bool has_signalfds() const noexcept { return signalfd_set_.load(std::memory_order_relaxed) != 0; }
  // What is pending here, and not in the kernel, for the thread, and some signalfd reads.
  uint64_t pending_for_signalfds(GreenThread* thread) noexcept;

  // On the hub: does what other workers have left to the first, see note_signalfd.
  void look_after_kernel() noexcept;

  // What is blocked in the kernel on every worker: nothing but signals that only a signalfd takes,
  // and those that are withheld. Each frame that returns to the program carries it.
  uint64_t kernel_mask() const noexcept {
    return kernel_mask_.load(std::memory_order_relaxed) | withheld_.load(std::memory_order_relaxed);
  }

  // From now on the kernel gives these to no worker: not even to the caller's, which is to open its
  // own mask for them. 0: ends that. One at a time.
  void withhold(uint64_t set) noexcept;

  rt::SpinLock& lock() noexcept { return lock_; }  // held around fork
  void reset_after_fork() noexcept;
  // In a child that is to have no handlers (CLONE_CLEAR_SIGHAND), before they are exported.
  void clear_handlers_after_fork() noexcept;

 private:
  uint64_t wanted_kernel_mask() noexcept;
  void update_kernel_mask() noexcept;
  void hand_blocked_to_kernel() noexcept;
  void take_back_from_kernel(uint64_t set) noexcept;
  void take_back(const siginfo_t& info) noexcept;
  bool is_ignored(int signal) const noexcept;
  int next_deliverable(GreenThread* thread, bool takes, siginfo_t* info,
                       KernelAction* action) noexcept;
  static uint64_t accepted(const GreenThread* thread) noexcept {
    return ~(thread->blocked & ~kUnblockable) | thread->waiting_for;
  }
  // Precondition: the lock of threads().
  static GreenThread* find_taker(int signal, int preferred = 0) noexcept;
  enum class Posted { kPending, kIgnored, kDefault, kNoRoom };
  void undo_opposite(int signal) noexcept;
  Posted post_locked(const siginfo_t& info, GreenThread* target, SentBy sender,
                     int preferred = 0) noexcept;
  void hand_to_handler(int signal) noexcept;
  void post_taken(const siginfo_t& info, SentBy sender) noexcept;
  void complete_expiration(siginfo_t* given, SignalMarks marks) noexcept;
  const KernelAction& action_for(int signal, bool is_promised) const noexcept;
  void refresh_interrupt(GreenThread* thread) noexcept;
  void install_kernel_action(int signal) noexcept;

  rt::SpinLock lock_;
  std::atomic<uint64_t> signalfd_set_{0};  // written under lock_
  std::atomic<uint64_t> kernel_mask_{0};   // written under lock_
  std::atomic<uint64_t> withheld_{0};
  std::atomic<bool> first_worker_is_asked_{false};
  KernelAction actions_[kLastSignal + 1];  // guarded by lock_
  // The handler that a default action has taken the place of, by the program's wish; guarded by
  // lock_
  KernelAction former_[kLastSignal + 1];
  SignalQueue process_pending_;  // guarded by lock_
};

SignalState& signals() noexcept;

// The green thread that a signal from the kernel is meant for, by its timer; 0: the process.
// kNobody: its timer has been deleted.
inline constexpr int kNobody = -1;
int addressee(const siginfo_t& info) noexcept;

}  // namespace tendril::kernel
