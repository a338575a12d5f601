// Where the kernel's asynchronous signals come in.
#include <sys/ucontext.h>

#include <cerrno>
#include <cstring>

#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/signal_gate.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "interpose/trap/delivery.hpp"
#include "interpose/trap/held_flags.hpp"
#include "interpose/trap/interruption.hpp"
#include "interpose/trap/observers.hpp"
#include "interpose/trap/selector.hpp"
#include "interpose/trap/trap.hpp"
#include "runtime/hub/poller.hpp"
#include "runtime/platform/forgotten_fs_base.hpp"
#include "runtime/platform/syscall.hpp"

extern "C" void tendril_restore_rt();

namespace tendril::trap {
namespace {

constexpr unsigned long kSaRestorer = 0x04000000;

// An OS thread that is no worker (one that a library made behind our back): passes the signal on to
// one that is.
int forward_target = 0;

void forward(int signal, siginfo_t* info) noexcept {
  rt::raw_syscall(SYS_rt_tgsigqueueinfo, rt::raw_syscall(SYS_getpid), forward_target, signal, info);
}

// Held back while the inbox is full. Not what a system call of the program or a copy routine
// raises: the kernel kills who has that blocked.
constexpr uint64_t kHeldBack =
    ~(kernel::signal_bit(SIGSYS) | kernel::signal_bit(SIGSEGV) | kernel::signal_bit(SIGBUS) |
      kernel::signal_bit(SIGFPE) | kernel::signal_bit(SIGILL) | kernel::signal_bit(SIGTRAP));

// There is no room for it, and it will be held back: it comes again, to this OS thread.
void put_back(int signal, siginfo_t* info) noexcept {
  rt::raw_syscall(SYS_rt_tgsigqueueinfo, rt::raw_syscall(SYS_getpid), rt::raw_syscall(SYS_gettid),
                  signal, info);
}

// Sent because of what the running thread did. Job control's are for the process, but who made the
// call takes them first; another thread would leave it to make the call again and again.
bool is_due_to(const kernel::GreenThread& current, int signal, const siginfo_t& info) noexcept {
  if (signal == SIGPIPE) return info.si_code <= 0 && info.si_pid == rt::raw_syscall(SYS_getpid);
  return (signal == SIGTTIN || signal == SIGTTOU) && info.si_code == SI_KERNEL &&
         (current.blocked & kernel::signal_bit(signal)) == 0;
}

// The Linux kernel gives what a timer sends to the process to the thread that runs when it expires:
// profilers live by it. (Not that of ITIMER_REAL.)
bool is_for_who_runs(int signal, const siginfo_t& info) noexcept {
  constexpr uint64_t kOfCpuTime =
      kernel::signal_bit(SIGPROF) | kernel::signal_bit(SIGVTALRM) | kernel::signal_bit(SIGXCPU);
  return info.si_code == SI_TIMER ||
         (info.si_code == SI_KERNEL && (kernel::signal_bit(signal) & kOfCpuTime) != 0);
}

// Another worker's thread, if it has met the runtime at work.
int preferred_one(const kernel::GreenThread* current) noexcept {
  return current != nullptr ? current->tid : kernel::SignalState::kWhoRuns;
}

// One that is pending is enough. But the expirations of a timer are counted, and of stops and
// SIGCONT the last decides.
bool is_merged(int signal, const siginfo_t& info) noexcept {
  constexpr uint64_t kOrdered = kernel::signal_bit(SIGCONT) | kernel::signal_bit(SIGTSTP) |
                                kernel::signal_bit(SIGTTIN) | kernel::signal_bit(SIGTTOU);
  return signal < kernel::kFirstRealTime && info.si_code != SI_TIMER &&
         (kernel::signal_bit(signal) & kOrdered) == 0;
}

// Signals are blocked while this runs, so arrivals are recorded one at a time.
void receive(int signal, siginfo_t* info, void* context, bool had_handler) noexcept {
  end_alignment_checks(static_cast<const ucontext_t*>(context));
  rt::put_back_fs_base();
  rt::Worker* worker = rt::current_worker();
  if (worker == nullptr) return forward(signal, info);
  const bool was_in_runtime = in_runtime();
  kernel::SignalInbox& inbox = kernel::state_of(worker)->inbox;
  const auto* current = static_cast<const kernel::GreenThread*>(worker->current->owner);
  const int tid = current != nullptr && is_due_to(*current, signal, *info) ? current->tid : 0;
  const uint64_t bit = tid == 0 && is_merged(signal, *info) ? kernel::signal_bit(signal) : 0;
  const uint32_t tail = inbox.tail.load(std::memory_order_relaxed);
  uint32_t waiting = tail - inbox.head.load(std::memory_order_acquire);
  if ((inbox.standard.load(std::memory_order_relaxed) & bit) != 0) {
    // pending already
  } else if (waiting < kernel::SignalInbox::kSize) {
    kernel::SignalInbox::Arrival& arrival = inbox.arrivals[tail % kernel::SignalInbox::kSize];
    arrival.info = *info;
    arrival.info.si_signo = signal;
    arrival.tid = tid;
    arrival.preferred = is_for_who_runs(signal, *info) ? preferred_one(current) : 0;
    arrival.had_handler = had_handler;
    inbox.standard.fetch_or(bit, std::memory_order_relaxed);
    inbox.tail.store(tail + 1, std::memory_order_release);
    ++waiting;
  } else {
    put_back(signal, info);
  }
  auto* frame = static_cast<ucontext_t*>(context);
  if (waiting == kernel::SignalInbox::kSize) {
    inbox.throttled.store(true, std::memory_order_release);
    std::memcpy(&frame->uc_sigmask, &kHeldBack, sizeof kHeldBack);
  }
  if (!was_in_runtime && defer_interrupted_call(frame)) return;
  if (was_in_runtime || !settle(frame)) {
    worker->ring_from_handler(frame);
    return;
  }
  enter_runtime();
  if (kernel::current_thread()->hold_delivery) {
    kernel::post_arrived_signals();
  } else if (interrupt_program(frame, *info, {.gives_way = !worker->anything_woken()})) {
    return;  // still in runtime mode
  }
  kernel::prepare_return(frame);  // else it is delivered at the thread's next system call
  leave_runtime();
}

// Two, between which the kernel chooses at the very moment that a signal leaves it: so we know
// whether the program had a handler then, whatever another worker changes before it is posted.
void on_handled_signal(int signal, siginfo_t* info, void* context) {
  receive(signal, info, context, /*had_handler=*/true);
}
void on_default_signal(int signal, siginfo_t* info, void* context) {
  receive(signal, info, context, /*had_handler=*/false);
}

}  // namespace

}  // namespace tendril::trap

namespace tendril::kernel {

void install_signal_handler(int signal, bool has_handler, unsigned long flags) noexcept {
  trap::forward_target = static_cast<int>(rt::raw_syscall(SYS_getpid));
  auto* const entry = has_handler ? trap::on_handled_signal : trap::on_default_signal;
  const KernelAction action{
      reinterpret_cast<void*>(entry), flags | SA_SIGINFO | SA_ONSTACK | trap::kSaRestorer,
      reinterpret_cast<void*>(tendril_restore_rt), rt::all_signals_that_may_be_blocked()};
  rt::raw_syscall(SYS_rt_sigaction, signal, &action, nullptr, 8);
}

}  // namespace tendril::kernel
