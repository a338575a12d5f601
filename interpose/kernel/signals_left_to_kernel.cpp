// The part of SignalState that leaves signals to the Linux kernel: what only a signalfd takes must
// be pending where the descriptor finds it.
#include <cerrno>

#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "runtime/platform/forgotten_fs_base.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

// Of what a signalfd may be asked for.
constexpr uint64_t kReadable = ~(kUnblockable | signal_bit(SIGSYS) | signal_bit(kKickSignal));

}  // namespace

void SignalState::note_signalfd(uint64_t mask) noexcept {
  rt::SpinGuard guard(lock_);
  signalfd_set_.fetch_or(mask & kReadable);
  update_kernel_mask();
}

void SignalState::import_signalfd(uint64_t mask) noexcept {
  rt::SpinGuard guard(lock_);
  signalfd_set_.fetch_or(mask & kReadable);
  kernel_mask_.store(wanted_kernel_mask(), std::memory_order_relaxed);
}

uint64_t SignalState::pending_for_signalfds(GreenThread* thread) noexcept {
  if (!has_signalfds()) return 0;
  rt::SpinGuard guard(lock_);
  return (thread->pending.set() | process_pending_.set()) &
         signalfd_set_.load(std::memory_order_relaxed);
}

// Precondition: lock_.
uint64_t SignalState::wanted_kernel_mask() noexcept {
  uint64_t mask = 0;
  rt::SpinGuard guard(threads().lock);
  for (uint64_t left = signalfd_set_.load(std::memory_order_relaxed); left != 0; left &= left - 1) {
    const int signal = __builtin_ctzll(left) + 1;
    if (find_taker(signal) == nullptr) mask |= signal_bit(signal);
  }
  return mask & rt::all_signals_that_may_be_blocked();
}

// Precondition: lock_. A signal that somebody accepts again flows back through our handlers.
void SignalState::update_kernel_mask() noexcept {
  const uint64_t mask = wanted_kernel_mask();
  if (mask != kernel_mask_.exchange(mask, std::memory_order_relaxed)) {
    take_over_kernel_mask();
    kick_other_workers();
  }
  hand_blocked_to_kernel();
}

// Each worker does something in the handler by which it takes over the new mask: when all have,
// none of them is open to those signals.
void SignalState::withhold(uint64_t set) noexcept {
  withheld_.store(set, std::memory_order_relaxed);
  if (set == 0) return kick_other_workers();
  call_on_other_workers(SYS_sched_yield, {});
}

// Precondition: lock_. The kernel takes a signal with its whole description from the main thread
// only, which the first worker is.
void SignalState::hand_blocked_to_kernel() noexcept {
  const uint64_t mask = kernel_mask_.load(std::memory_order_relaxed);
  rt::Worker* first = workers().first();
  if (rt::current_worker_unchecked() != first) {
    first_worker_is_asked_.store((process_pending_.set() & mask) != 0, std::memory_order_seq_cst);
    if ((process_pending_.set() & mask) != 0) first->ring();
    return;
  }
  const long pid = rt::raw_syscall(SYS_getpid);
  siginfo_t info;
  SignalMarks marks;
  while (int signal = process_pending_.pop(mask, &info, &marks)) {
    if (rt::raw_syscall(SYS_rt_sigqueueinfo, pid, signal, &info) != -EAGAIN) continue;
    // The user's other processes leave no room for it. Who looks finds it here.
    process_pending_.push(info, marks);
    break;
  }
}

// Precondition: lock_. What somebody takes again is taken at once: POSIX has it delivered before
// the call that unblocks it returns, and in the order of the numbers.
void SignalState::take_back_from_kernel(uint64_t set) noexcept {
  uint64_t wanted = set & kernel_mask_.load(std::memory_order_relaxed);
  const timespec now{0, 0};
  siginfo_t info;
  while (wanted != 0 && rt::raw_syscall(SYS_rt_sigtimedwait, &wanted, &info, &now, kSetSize) > 0) {
    take_back(info);
  }
}

// Precondition: lock_. To whom it was meant for, who need not be who takes it back.
void SignalState::take_back(const siginfo_t& info) noexcept {
  const SignalMarks marks{.is_expiration = info.si_code == SI_TIMER};
  const int tid = addressee(info);
  if (tid == kNobody) return;
  rt::SpinGuard guard(threads().lock);
  if (tid == 0) {
    process_pending_.push(info, marks);
  } else if (GreenThread* target = threads().find(tid); target != nullptr) {
    target->pending.push(info, marks);
    refresh_interrupt(target);
  }
}

void SignalState::look_after_kernel() noexcept {
  if (!first_worker_is_asked_.load(std::memory_order_relaxed) ||
      rt::current_worker_unchecked() != workers().first()) {
    return;
  }
  rt::SpinGuard guard(lock_);
  first_worker_is_asked_.store(false, std::memory_order_relaxed);
  hand_blocked_to_kernel();
}

}  // namespace tendril::kernel
