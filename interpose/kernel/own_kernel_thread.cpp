#include "interpose/kernel/own_kernel_thread.hpp"

#include <linux/futex.h>

#include <cerrno>
#include <climits>

#include "interpose/kernel/futex_table.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/restart.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "runtime/hub/interruptible_call.hpp"
#include "runtime/hub/park.hpp"

namespace tendril::kernel {
namespace {

// A futex of those who wait, whomever for: it changes whenever a wish is settled.
constinit uint32_t settled = 0;

void tell_of_settlement() noexcept {
  __atomic_fetch_add(&settled, 1, __ATOMIC_SEQ_CST);
  futexes().wake(futex_key(&settled, /*is_private=*/true), FUTEX_BITSET_MATCH_ANY, INT_MAX);
}

// Precondition: the lock of threads(). One that computes is not to wait for its time slice's end.
void wish(GreenThread& thread) noexcept {
  thread.wish.store(Wish::kOpen, std::memory_order_seq_cst);
  rt::interrupt(thread.fiber);
  const rt::Worker* worker = thread.fiber->worker;
  if (thread.fiber->state.load(std::memory_order_relaxed) == rt::FiberState::kRunning) {
    rt::interrupt_call(worker->os_tid);
  }
}

}  // namespace

long own_kernel_thread_of(int tid) noexcept {
  GreenThread* self = current_thread();
  if (tid == self->tid) {
    return bind_thread() ? rt::current_worker_unchecked()->os_tid : -EAGAIN;
  }
  for (;;) {
    const uint32_t seen = __atomic_load_n(&settled, __ATOMIC_SEQ_CST);
    {
      rt::SpinGuard guard(threads().lock);
      GreenThread* thread = threads().find(tid);
      if (thread == nullptr) return -EINVAL;
      const rt::Worker* worker = thread->fiber->worker;
      if (worker->reserved) return worker->os_tid;
      Wish refused = Wish::kRefused;
      if (thread->wish.compare_exchange_strong(refused, Wish::kNone)) return -EAGAIN;
      wish(*thread);
    }
    const long result =
        futexes().wait(&settled, /*is_private=*/true, seen, FUTEX_BITSET_MATCH_ANY, rt::kForever);
    if (result == -EINTR && signals().has_accepted(self)) return -kRestartAlways;
  }
}

void carry_out_wish(GreenThread* thread) noexcept {
  Wish open = Wish::kOpen;
  if (!thread->wish.compare_exchange_strong(open, Wish::kNone)) return;
  if (!rt::current_worker_unchecked()->reserved && !bind_thread()) {
    thread->wish.store(Wish::kRefused, std::memory_order_seq_cst);
  }
  tell_of_settlement();
}

void give_up_wish(const GreenThread* thread) noexcept {
  if (thread->wish.load(std::memory_order_seq_cst) == Wish::kOpen) tell_of_settlement();
}

}  // namespace tendril::kernel
