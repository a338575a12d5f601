#include "interpose/trap/signal_entry.hpp"

#include <sys/ucontext.h>

#include <cerrno>
#include <cstring>

#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/thread_timers.hpp"
#include "interpose/trap/delivery.hpp"
#include "interpose/trap/selector.hpp"
#include "interpose/trap/trap.hpp"
#include "interpose/trap/worker_state.hpp"
#include "runtime/platform/syscall.hpp"

extern "C" void tendril_restore_rt();

namespace tendril::trap {
namespace {

constexpr unsigned long kSaRestorer = 0x04000000;
constexpr uint64_t kAllSignals = ~uint64_t{0};

// An OS thread that is no worker (one that a library made behind our back): passes the signal on to
// one that is.
int forward_target = 0;

void forward(int signal, siginfo_t* info) noexcept {
  rt::raw_syscall(SYS_rt_tgsigqueueinfo, rt::raw_syscall(SYS_getpid), forward_target, signal, info);
}

// All signals are blocked while this runs, so arrivals are recorded one at a time.
void on_signal(int signal, siginfo_t* info, void* context) {
  rt::Worker* worker = rt::current_worker();
  if (worker == nullptr) return forward(signal, info);
  const bool was_in_runtime = in_runtime();
  SignalInbox& inbox = state_of(worker)->inbox;
  const uint32_t tail = inbox.tail.load(std::memory_order_relaxed);
  SignalInbox::Arrival& arrival = inbox.arrivals[tail % SignalInbox::kSize];
  arrival.info = *info;
  arrival.info.si_signo = signal;
  arrival.for_current = signal == SIGPIPE && info->si_code <= 0 &&
                        info->si_pid == rt::raw_syscall(SYS_getpid);
  arrival.thread = worker->current != &worker->hub
                       ? static_cast<kernel::GreenThread*>(worker->current->owner)
                       : nullptr;
  inbox.tail.store(tail + 1, std::memory_order_release);
  auto* frame = static_cast<ucontext_t*>(context);
  if (tail + 1 - inbox.head.load(std::memory_order_acquire) == SignalInbox::kSize) {
    inbox.throttled.store(true, std::memory_order_release);
    std::memcpy(&frame->uc_sigmask, &kAllSignals, sizeof kAllSignals);
  }
  if (was_in_runtime) {
    worker->ring();  // the hub may be about to sleep
    return;
  }
  // Program code was interrupted: deliver here and now, nested in this frame. The switches that a
  // handler may make must leave no worker with signals blocked.
  enter_runtime();
  const uint64_t mask = kernel::signals().kernel_mask();
  rt::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, 8);
  if (kernel::current_thread()->hold_delivery) {
    post_arrived_signals();
  } else {
    deliver_signals(frame, 0, -1);
  }
  prepare_return(frame);
  leave_runtime();
}

}  // namespace

void install_signal_handler(int signal, unsigned long flags) noexcept {
  forward_target = static_cast<int>(rt::raw_syscall(SYS_getpid));
  const kernel::KernelAction action{reinterpret_cast<void*>(on_signal),
                                    flags | SA_SIGINFO | kSaRestorer,
                                    reinterpret_cast<void*>(tendril_restore_rt), kAllSignals};
  rt::raw_syscall(SYS_rt_sigaction, signal, &action, nullptr, 8);
}

void post_arrived_signals() noexcept {
  SignalInbox& inbox = state_of(rt::current_worker_unchecked())->inbox;
  while (!inbox.empty()) {
    const uint32_t head = inbox.head.load(std::memory_order_relaxed);
    const SignalInbox::Arrival arrival = inbox.arrivals[head % SignalInbox::kSize];
    inbox.head.store(head + 1, std::memory_order_release);
    kernel::GreenThread* target = arrival.for_current ? arrival.thread : nullptr;
    if (arrival.info.si_code == SI_TIMER) {
      const int tid = kernel::thread_timers().target(arrival.info.si_timerid);
      rt::SpinGuard guard(kernel::threads().lock);
      if (tid != 0) target = kernel::threads().find(tid);
    }
    kernel::signals().post(arrival.info, target);
  }
  if (inbox.throttled.load(std::memory_order_relaxed)) {
    inbox.throttled.store(false, std::memory_order_relaxed);
    const uint64_t mask = kernel::signals().kernel_mask();
    rt::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, 8);
  }
}

}  // namespace tendril::trap
