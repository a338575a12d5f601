#include "interpose/trap/trap.hpp"

#include <sys/prctl.h>
#include <sys/ucontext.h>

#include <cerrno>
#include <cstddef>
#include <new>
#include <utility>

#include "interpose/kernel/activation.hpp"
#include "interpose/kernel/dispatch.hpp"
#include "interpose/kernel/filtered_call.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/kick_stacks.hpp"
#include "interpose/kernel/protection_keys.hpp"
#include "interpose/kernel/restart.hpp"
#include "interpose/kernel/signal_gate.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "interpose/trap/delivery.hpp"
#include "interpose/trap/held_flags.hpp"
#include "interpose/trap/interruption.hpp"
#include "interpose/trap/observers.hpp"
#include "interpose/trap/registers.h"
#include "interpose/trap/selector.hpp"
#include "runtime/hub/fatal.hpp"
#include "runtime/hub/interruptible_call.hpp"
#include "runtime/hub/offload.hpp"
#include "runtime/hub/process.hpp"
#include "runtime/memory/pages.hpp"
#include "runtime/memory/reserve.hpp"
#include "runtime/platform/forgotten_fs_base.hpp"
#include "runtime/platform/syscall.hpp"

static_assert(R8_OFFSET == REG_R8 * 8 && R15_OFFSET == REG_R15 * 8 && RDI_OFFSET == REG_RDI * 8 &&
              RAX_OFFSET == REG_RAX * 8 && RSP_OFFSET == REG_RSP * 8 && RIP_OFFSET == REG_RIP * 8 &&
              RBP_OFFSET == REG_RBP * 8 && RSI_OFFSET == REG_RSI * 8 && RCX_OFFSET == REG_RCX * 8 &&
              GREGS_OFFSET == offsetof(ucontext_t, uc_mcontext.gregs) &&
              EFL_OFFSET == REG_EFL * 8 && RBX_OFFSET == REG_RBX * 8 && RDX_OFFSET == REG_RDX * 8);

extern "C" {
// Of the section tendril_allowed, by the linker.
extern const char __start_tendril_allowed[] __attribute__((visibility("hidden")));
extern const char __stop_tendril_allowed[] __attribute__((visibility("hidden")));
// Of this library's text, by the linker too.
extern const char __ehdr_start __attribute__((visibility("hidden")));
extern const char etext __attribute__((visibility("hidden")));
void tendril_restore_rt();
}

namespace tendril::trap {
namespace {

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif
constexpr int kDispatchOff = 0;
constexpr int kDispatchOn = 1;
constexpr int kSysUserDispatch = 2;  // si_code
constexpr unsigned long kSaRestorer = 0x04000000;
constexpr size_t kAlternateStackSize = 64 * 1024;

void set_kernel_mask(uint64_t mask) noexcept {
  rt::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, 8);
}

// On an OS thread that is nobody's.
void die_of_system_call() noexcept {
  const kernel::KernelAction plain{};
  rt::raw_syscall(SYS_rt_sigaction, SIGSYS, &plain, nullptr, 8);
  rt::raw_syscall(SYS_tgkill, rt::raw_syscall(SYS_getpid), rt::raw_syscall(SYS_gettid), SIGSYS);
}

// A seccomp filter of the program's lets a call not through: one of its own, which it makes from
// patched sites, or one of the runtime's, to which it has failed.
void on_filtered_call(const siginfo_t& info, ucontext_t* frame) {
  end_alignment_checks(frame);
  const bool on_worker = rt::current_worker() != nullptr;
  if (!on_worker || in_runtime()) {
    frame->uc_mcontext.gregs[REG_RAX] = -EPERM;
    if (on_worker) {
      kernel::note_filtered_call(info);
      kernel::hold_signals_until_return();
      kernel::set_mask_of_return(frame);
    } else if (!rt::leave_signal_to_caller(info)) {
      die_of_system_call();
    }
    return;
  }
  enter_runtime();
  kernel::take_key_rights_of(frame);
  give_back_flags(kernel::current_thread(), frame);
  kernel::raise_filtered_call(info);
  deliver_signals(frame, 0, kNoCall);
  kernel::prepare_return(frame);
  leave_runtime();
}

void on_system_call(int, siginfo_t* info, void* context) {
  rt::put_back_fs_base();
  auto* frame = static_cast<ucontext_t*>(context);
  if (info->si_code != kSysUserDispatch) return on_filtered_call(*info, frame);
  enter_runtime();
  end_alignment_checks(frame);
  kernel::take_key_rights_of(frame);
  give_back_flags(kernel::current_thread(), frame);
  greg_t* r = frame->uc_mcontext.gregs;
  kernel::Call call{static_cast<int>(r[REG_RAX]),  // of which Linux takes the low half
                    {r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8], r[REG_R9]},
                    frame,
                    &frame->uc_mcontext.gregs};
  const long number = call.number;
  if (number == kDeliverNumber) {
    kernel::GreenThread* thread = kernel::current_thread();
    // A hook has nothing deferred: what an earlier call left must not be taken for its result.
    const long deferred = std::exchange(thread->deferred_number, kNoCall);
    deliver_signals(frame, std::exchange(thread->deferred_result, 0), deferred);
  } else {
    ++rt::current_worker_unchecked()->stats.calls_by_trap;
    kernel::current_thread()->call_site = {static_cast<uint64_t>(r[REG_RIP]),
                                           static_cast<uint64_t>(r[REG_RSP]),
                                           static_cast<uint64_t>(r[REG_RBP])};
    const long result = kernel::dispatch(call);
    if (!kernel::is_active()) {  // the child of fork, dormant: its frame is complete
      r[REG_RAX] = result;
      return;
    }
    const bool memory = number == SYS_mmap || number == SYS_mprotect || number == SYS_munmap;
    if (memory && observers.memory_changed != nullptr) observers.memory_changed(call, result);
    if (kernel::is_restart_code(result) || kernel::attention_needed()) {
      deliver_signals(frame, result, number);
    } else {
      r[REG_RAX] = result;
    }
  }
  kernel::prepare_return(frame);
  leave_runtime();
}

// True on our way into the runtime or out of it: no mode of its own, and no place for a switch. The
// frame by which we return to the program is complete already, with the alternate stack of the
// worker that we are on.
bool is_shim_code(const ucontext_t* frame) noexcept {
  const auto at = static_cast<uintptr_t>(frame->uc_mcontext.gregs[REG_RIP]);
  return at >= reinterpret_cast<uintptr_t>(&__ehdr_start) &&
         at < reinterpret_cast<uintptr_t>(&etext);
}

// On an offload thread: ends its native call. On a worker: a time slice has ended, or (from
// another worker) there is something to look at.
void on_kick(int, siginfo_t* info, void* context) {
  rt::put_back_fs_base();
  auto* frame = static_cast<ucontext_t*>(context);
  end_alignment_checks(frame);
  rt::leave_interruptible_call(frame);
  if (rt::current_worker() == nullptr) return;
  rt::Worker* worker = rt::current_worker_unchecked();
  const rt::Preemption preemption = worker->preemption_at_kick(info->si_code == SI_TIMER);
  bool in_program = !in_runtime() && !is_shim_code(frame);
  // What was sent from another processor to one that makes many calls arrives at the end of one.
  if (!in_program && !in_runtime()) {
    in_program = !defer_interrupted_call(frame) && leave_passed_call(frame);
  }
  // Not in program code: it yields on its way out, see attention_needed.
  if (!in_program) {
    kernel::take_part_in_call();
    if (preemption != rt::Preemption::kNone) worker->preempt_on_way_out(preemption);
    kernel::set_mask_of_return(frame);
    return;
  }
  enter_runtime();
  kernel::take_part_in_call();
  const bool settled = settle(frame);
  const bool delivers =
      kernel::attention_needed() && !kernel::current_thread()->hold_delivery && settled;
  if (preemption != rt::Preemption::kNone || delivers) {
    const Interruption kick{.preemption = preemption, .takes_handler = settled};
    if (interrupt_program(frame, *info, kick)) return;  // still in runtime mode
    if (preemption != rt::Preemption::kNone) worker->preempt_on_way_out(preemption);
  }
  kernel::set_mask_of_return(frame);
  leave_runtime();
}

// Short slices (for tests) end by one tick, and need a clock that is finer than the kernel's tick:
// one that goes on while the worker sleeps, so it is stopped meanwhile. It would wake the sleeper,
// and a wake-up that the runtime has lost would go unseen.
bool are_short(int slice_microseconds) noexcept {
  constexpr int kFinestCpuTick = 4000;
  return slice_microseconds < kFinestCpuTick;
}

// For the ticks of this OS thread, once they are started.
bool make_slice_timer(int microseconds, int* made) noexcept {
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = kernel::kKickSignal;
  event._sigev_un._tid = static_cast<int>(rt::raw_syscall(SYS_gettid));
  int timer = 0;
  const long clock = are_short(microseconds) ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID;
  if (rt::raw_syscall(SYS_timer_create, clock, &event, &timer) != 0) return false;
  *made = timer;
  return true;
}

// Every so many nanoseconds; 0: no more.
void set_tick(const kernel::WorkerState& state, rt::Nanoseconds length) noexcept {
  const timespec tick = rt::to_timespec(length);
  const itimerspec period{tick, tick};
  rt::raw_syscall(SYS_timer_settime, state.slice_timer, 0, &period, nullptr);
}

void stop_ticks(rt::Worker* worker) noexcept {
  if (const auto* state = kernel::state_of(worker); state != nullptr) set_tick(*state, 0);
}

void go_on_with_ticks(rt::Worker* worker) noexcept {
  const auto* state = kernel::state_of(worker);
  if (state != nullptr) set_tick(*state, state->slice_tick);
}

// Two ticks of CPU time to a slice.
void start_slices(rt::Worker* worker, kernel::WorkerState* state, int microseconds) noexcept {
  worker->ticks_per_slice = are_short(microseconds) ? 1 : 2;
  state->slice_tick = microseconds * rt::Nanoseconds{1000} / worker->ticks_per_slice;
  set_tick(*state, state->slice_tick);
}

void install(int signal, void (*handler)(int, siginfo_t*, void*), uint64_t mask,
             unsigned long flags) noexcept {
  const kernel::KernelAction action{reinterpret_cast<void*>(handler),
                                    SA_SIGINFO | SA_NODEFER | kSaRestorer | flags,
                                    reinterpret_cast<void*>(tendril_restore_rt), mask};
  if (rt::raw_syscall(SYS_rt_sigaction, signal, &action, nullptr, 8) != 0) {
    rt::fatal("cannot install a signal handler");
  }
}

long set_dispatch(int mode, volatile void* selector) noexcept {
  if (mode == kDispatchOff) {
    return rt::raw_syscall(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, mode, 0, 0, 0);
  }
  return rt::raw_syscall(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, mode, __start_tendril_allowed,
                         __stop_tendril_allowed - __start_tendril_allowed,
                         const_cast<void*>(selector));
}

}  // namespace

bool is_available() noexcept {
  static volatile char selector = 0;  // allow
  if (set_dispatch(kDispatchOn, &selector) != 0) return false;
  set_dispatch(kDispatchOff, nullptr);
  return true;
}

void install(int slice_microseconds) noexcept {
  if (slice_microseconds != 0 && are_short(slice_microseconds)) {
    rt::process().hooks.on_sleep = stop_ticks;
    rt::process().hooks.on_wake = go_on_with_ticks;
  }
  rt::process().hooks.on_signal_of_call = kernel::note_filtered_call;
  install(SIGSYS, on_system_call, 0, 0);
  install(kernel::kKickSignal, on_kick, ~kernel::kFaults, SA_ONSTACK);
}

kernel::WorkerState* prepare(int slice_microseconds) noexcept {
  void* pages = rt::map_vital_pages(rt::round_up_to_page(sizeof(kernel::WorkerState)));
  if (pages == nullptr) return nullptr;
  auto* state = new (pages) kernel::WorkerState;
  void* stack = rt::map_vital_pages(kAlternateStackSize);
  state->alternate_stack = {stack, 0, kAlternateStackSize};
  if (stack == nullptr ||
      (slice_microseconds != 0 && !make_slice_timer(slice_microseconds, &state->slice_timer))) {
    discard(state);
    return nullptr;
  }
  return state;
}

void discard(kernel::WorkerState* state) noexcept {
  if (state->kick_stack) kernel::kick_stacks().give_back(state->kick_stack);
  if (state->slice_timer >= 0) rt::raw_syscall(SYS_timer_delete, state->slice_timer);
  if (void* stack = state->alternate_stack.ss_sp; stack != nullptr) {
    rt::unmap_vital_pages(stack, kAlternateStackSize);
  }
  rt::unmap_vital_pages(state, rt::round_up_to_page(sizeof *state));
}

bool arm(rt::Worker* worker, kernel::WorkerState* state, int slice_microseconds) noexcept {
  kernel::skip_earlier_calls(state);
  const uint64_t mask = kernel::signals().kernel_mask();
  worker->layer_data = state;
  if (set_dispatch(kDispatchOn, &worker->selector) != 0) {
    worker->layer_data = nullptr;
    return false;
  }
  rt::raw_syscall(SYS_sigaltstack, &state->alternate_stack, nullptr);
  if (state->slice_timer >= 0) start_slices(worker, state, slice_microseconds);
  set_kernel_mask(mask);
  rt::withdraw_fs_base();
  return true;
}

void disarm(rt::Worker* worker) noexcept {
  kernel::WorkerState* state = kernel::state_of(worker);
  set_dispatch(kDispatchOff, nullptr);
  const stack_t none{nullptr, SS_DISABLE, 0};
  rt::raw_syscall(SYS_sigaltstack, &none, nullptr);
  worker->layer_data = nullptr;
  discard(state);
}

}  // namespace tendril::trap

namespace tendril::kernel {

void set_mask_of_return(ucontext_t* frame) noexcept {
  if (state_of(rt::current_worker_unchecked())->has_program_mask) return;
  // The kernel's mask has 8 bytes where glibc's type has 128.
  const uint64_t mask = signals().kernel_mask();
  __builtin_memcpy(&frame->uc_sigmask, &mask, sizeof mask);
}

void prepare_return(ucontext_t* frame) noexcept {
  if (!is_active()) return;  // the child that a handler has made: its frame is complete
  hold_signals_until_return();
  frame->uc_stack = state_of(rt::current_worker_unchecked())->alternate_stack;
  set_mask_of_return(frame);
}

}  // namespace tendril::kernel
