#include "interpose/kernel/worker_state.hpp"

#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/thread_timers.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {

void post_arrived_signals() noexcept {
  SignalInbox& inbox = state_of(rt::current_worker_unchecked())->inbox;
  while (!inbox.empty()) {
    const uint32_t head = inbox.head.load(std::memory_order_relaxed);
    const SignalInbox::Arrival arrival = inbox.arrivals[head % SignalInbox::kSize];
    inbox.head.store(head + 1, std::memory_order_release);
    GreenThread* target = arrival.for_current ? arrival.thread : nullptr;
    if (arrival.info.si_code == SI_TIMER) {
      const int tid = thread_timers().target(arrival.info.si_timerid);
      rt::SpinGuard guard(threads().lock);
      if (tid != 0) target = threads().find(tid);
    }
    signals().post(arrival.info, target);
  }
  if (inbox.throttled.load(std::memory_order_relaxed)) {
    inbox.throttled.store(false, std::memory_order_relaxed);
    const uint64_t mask = signals().kernel_mask();
    rt::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, 8);
  }
}

}  // namespace tendril::kernel
