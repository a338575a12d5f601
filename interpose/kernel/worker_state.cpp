#include "interpose/kernel/worker_state.hpp"

#include <atomic>

#include "interpose/kernel/dispatch.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "runtime/hub/interruptible_call.hpp"
#include "runtime/platform/backoff.hpp"
#include "runtime/platform/process_wide.hpp"
#include "runtime/platform/runtime_mode.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

// The call that all workers make now. Guarded by its lock but for `left` and `round`.
struct SharedCall {
  rt::SpinLock lock;
  long number = 0;
  long arguments[6] = {};
  std::atomic<uint32_t> round{0};
  std::atomic<uint32_t> left{0};
};
constinit SharedCall shared_call;

// The call that one of them makes now. Guarded by the lock of the other one; the worker that takes
// itself out of `target` has it until it is done.
struct DirectedCall {
  std::atomic<const rt::Worker*> target{nullptr};
  std::atomic<bool> done{false};
  long number = 0;
  long arguments[6] = {};
  long result = 0;
};
constinit DirectedCall directed_call;

}  // namespace

rt::WorkerGroup& workers() noexcept { return rt::MadeAtFirstUse<rt::WorkerGroup>::get(); }

void post_arrived_signals() noexcept {
  SignalInbox& inbox = state_of(rt::current_worker_unchecked())->inbox;
  while (!inbox.empty()) {
    const uint32_t head = inbox.head.load(std::memory_order_relaxed);
    const SignalInbox::Arrival arrival = inbox.arrivals[head % SignalInbox::kSize];
    inbox.head.store(head + 1, std::memory_order_release);
    inbox.standard.fetch_and(~signal_bit(arrival.info.si_signo), std::memory_order_relaxed);
    const int target = arrival.tid != 0 ? arrival.tid : addressee(arrival.info);
    if (target == kNobody) continue;
    // A thread that has ended meanwhile takes its signals with it, as in the kernel.
    signals().post(arrival.info, target,
                   arrival.had_handler ? SentBy::kKernelToHandler : SentBy::kKernel,
                   arrival.preferred);
  }
  if (inbox.throttled.load(std::memory_order_relaxed)) {
    inbox.throttled.store(false, std::memory_order_relaxed);
    take_over_kernel_mask();
  }
}

void hold_signals_until_return() noexcept {
  constexpr uint64_t kHeld = ~(kFaults | signal_bit(SIGSYS));
  rt::raw_syscall(SYS_rt_sigprocmask, SIG_BLOCK, &kHeld, nullptr, sizeof kHeld);
}

// A kick that tells of a newer mask comes when this one is in force, not between look and call.
void take_over_kernel_mask() noexcept {
  hold_signals_until_return();
  const uint64_t mask = signals().kernel_mask();
  rt::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, sizeof mask);
}

void kick_other_workers() noexcept {
  const rt::Worker* self = rt::current_worker_unchecked();
  workers().for_each_worker([&](const rt::Worker& worker) {
    if (&worker != self) rt::interrupt_call(worker.os_tid);
  });
}

rt::SpinLock& worker_calls_lock() noexcept { return shared_call.lock; }

void call_on_other_workers(long number, const long (&arguments)[6]) noexcept {
  rt::SpinGuard guard(shared_call.lock);
  // No worker may be about to begin: it would go on with what its maker had before.
  workers().lock_complete();
  const rt::Worker* self = rt::current_worker_unchecked();
  shared_call.number = number;
  __builtin_memcpy(shared_call.arguments, arguments, sizeof arguments);
  uint32_t others = 0;
  const uint32_t round = shared_call.round.load(std::memory_order_relaxed) + 1;
  workers().for_each_worker([&](rt::Worker& worker) {
    if (&worker == self) {
      state_of(&worker)->calls_made = round;
    } else {
      ++others;
    }
  });
  shared_call.left.store(others, std::memory_order_relaxed);
  shared_call.round.store(round, std::memory_order_release);
  kick_other_workers();
  rt::Backoff backoff;
  while (shared_call.left.load(std::memory_order_acquire) != 0) backoff.yield();
  workers().growth_lock().unlock();
}

namespace {

// Makes one worker do the directed call. False: it waits for its child of vfork, which may last.
bool direct_call(const rt::Worker& worker, bool waits_for_vfork) noexcept {
  directed_call.done.store(false, std::memory_order_relaxed);
  directed_call.target.store(&worker, std::memory_order_release);
  rt::interrupt_call(worker.os_tid);
  rt::Backoff backoff;
  while (!directed_call.done.load(std::memory_order_acquire)) {
    const rt::Worker* target = &worker;
    if (!waits_for_vfork && worker.vfork_child_runs &&
        directed_call.target.compare_exchange_strong(target, nullptr)) {
      return false;
    }
    backoff.yield();
  }
  return true;
}

}  // namespace

long ask_other_workers(const Call& call, long refusal,
                       bool (*is_worth_waiting_for)(const Call& call,
                                                    const rt::Worker& worker)) noexcept {
  rt::SpinGuard guard(shared_call.lock);
  workers().lock_complete();  // nor does any leave
  const rt::Worker* self = rt::current_worker_unchecked();
  directed_call.number = call.number;
  __builtin_memcpy(directed_call.arguments, call.arguments, sizeof call.arguments);
  long result = refusal;
  constexpr size_t kMost = rt::WorkerGroup::kMostWorkers + rt::WorkerGroup::kMostSpares;
  bool asked[kMost] = {};
  for (const bool waits_for_vfork : {false, true}) {
    size_t place = 0;
    workers().for_each_worker([&](const rt::Worker& worker) {
      bool& was_asked = asked[place++];
      if (&worker == self || was_asked || result != refusal) return;
      if (waits_for_vfork && !is_worth_waiting_for(call, worker)) return;
      was_asked = direct_call(worker, waits_for_vfork);
      if (was_asked) result = directed_call.result;
    });
  }
  workers().growth_lock().unlock();
  return result;
}

namespace {

void make_directed_call() noexcept {
  const rt::Worker* self = rt::current_worker_unchecked();
  // A handler nested in this one asks as well.
  if (!directed_call.target.compare_exchange_strong(self, nullptr)) return;
  const rt::RuntimeSection section;  // the handler may have struck program code
  const long* a = directed_call.arguments;
  directed_call.result = rt::raw_syscall6(directed_call.number, a[0], a[1], a[2], a[3], a[4], a[5]);
  directed_call.done.store(true, std::memory_order_release);
}

}  // namespace

void skip_earlier_calls(WorkerState* fresh) noexcept {
  fresh->calls_made = shared_call.round.load(std::memory_order_acquire);
}

void take_part_in_call() noexcept {
  make_directed_call();
  WorkerState* state = state_of(rt::current_worker_unchecked());
  if (state == nullptr) return;
  // A handler nested in this one asks as well: who of the two goes on from a round to the next
  // makes the call, and the other has nothing to do. It looks again, for the round that it knew may
  // be over by then. Who shares the call with the others is a round ahead until it has begun.
  uint32_t made = state->calls_made.load(std::memory_order_relaxed);
  for (;;) {
    const uint32_t round = shared_call.round.load(std::memory_order_acquire);
    if (static_cast<int32_t>(round - made) <= 0) return;
    if (state->calls_made.compare_exchange_strong(made, round)) break;
  }
  const rt::RuntimeSection section;  // the handler may have struck program code
  const long* a = shared_call.arguments;
  rt::raw_syscall6(shared_call.number, a[0], a[1], a[2], a[3], a[4], a[5]);
  shared_call.left.fetch_sub(1, std::memory_order_release);
}

}  // namespace tendril::kernel
