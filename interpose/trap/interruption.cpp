#include "interpose/trap/interruption.hpp"

#include "interpose/kernel/activation.hpp"
#include "interpose/kernel/alternate_stack.hpp"
#include "interpose/kernel/dispatch.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/kick_stacks.hpp"
#include "interpose/kernel/scheduling.hpp"
#include "interpose/kernel/signal_gate.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "interpose/trap/delivery.hpp"
#include "interpose/trap/moved_frame.hpp"
#include "interpose/trap/selector.hpp"
#include "runtime/hub/interruptible_call.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::trap {
namespace {

long pack(Interruption what) noexcept {
  return static_cast<long>(what.preemption) << 2 | (what.takes_handler ? 2 : 0) |
         (what.gives_way ? 1 : 0);
}

Interruption unpack(long packed) noexcept {
  return {static_cast<rt::Preemption>(packed >> 2), (packed & 2) != 0, (packed & 1) != 0};
}

void block_all_signals(ucontext_t* frame) noexcept {
  const uint64_t mask = rt::all_signals_that_may_be_blocked();
  __builtin_memcpy(&frame->uc_sigmask, &mask, sizeof mask);
}

void unblock_signals() noexcept {
  const uint64_t mask = kernel::signals().kernel_mask();
  rt::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, sizeof mask);
}

// Below that nothing may be pushed for a thread whose stack pointer is `sp`; 0: not known.
uintptr_t lowest_place(const kernel::GreenThread& thread, uintptr_t sp) noexcept {
  if (sp > thread.stack_bottom && sp <= thread.stack_top) {
    return thread.stack_bottom;
  }
  const stack_t& alternate = thread.alternate_stack;
  const auto bottom = reinterpret_cast<uintptr_t>(alternate.ss_sp);
  const bool on_it =
      (alternate.ss_flags & SS_DISABLE) == 0 && sp > bottom && sp <= bottom + alternate.ss_size;
  return on_it ? bottom : 0;
}

// Signals are pending: does what needs no handler. True if one is to run; *action is its.
bool wants_handler(kernel::KernelAction* action) noexcept {
  kernel::post_arrived_signals();  // before the thread may leave their worker: some are its own
  rt::current_worker_unchecked()->carry_out_preemption();
  kernel::GreenThread* thread = kernel::current_thread();
  kernel::carry_out_scheduling(thread);
  for (;;) {
    kernel::post_arrived_signals();
    if (!thread->fiber->interrupt_pending.load(std::memory_order_seq_cst)) return false;
    if (kernel::signals().first_deliverable(thread, action) != 0) return true;
  }
}

// Where the first handler is to run, by whose frame unwinders find the program's code.
MovedFrame* move_to_handler(const MovedFrame& interrupted,
                            const kernel::KernelAction& action) noexcept {
  const kernel::GreenThread* thread = kernel::current_thread();
  const auto sp = static_cast<uintptr_t>(interrupted.context.uc_mcontext.gregs[REG_RSP]);
  const stack_t& alternate = thread->alternate_stack;
  if ((action.flags & SA_ONSTACK) != 0 && kernel::takes_handler(alternate, sp)) {
    const auto bottom = reinterpret_cast<uintptr_t>(alternate.ss_sp);
    return move_frame(&interrupted.context, interrupted.info, bottom + alternate.ss_size, bottom);
  }
  return move_frame(&interrupted.context, interrupted.info, sp - 128, lowest_place(*thread, sp));
}

// On the program's stack. Signals are blocked, so that no handler runs on top of this one before it
// is sure where unwinders will find themselves below it.
void run_handlers(MovedFrame* moved, long packed) {
  enter_runtime();  // tendril_sigreturn has left it
  ucontext_t* frame = &moved->context;
  unblock_signals();
  deliver_signals(frame, 0, kNoCall);
  if (unpack(packed).gives_way && kernel::is_active()) {
    rt::current_worker_unchecked()->give_way_if_woken();
  }
  kernel::prepare_return(frame);
  tendril_sigreturn(frame);
}

// On the runtime's stack. The frame holds the whole state of the program's code, and every lock
// that it may hold ends in our futex.
void go_on(MovedFrame* moved, long packed) {
  const Interruption what = unpack(packed);
  ucontext_t* frame = &moved->context;
  unblock_signals();
  if (what.preemption != rt::Preemption::kNone) {
    rt::current_worker_unchecked()->preempt_current(what.preemption);
  }
  kernel::KernelAction action;
  // Some may have come while it was off the CPU.
  if (what.takes_handler && kernel::attention_needed() &&
      !kernel::current_thread()->hold_delivery && wants_handler(&action)) {
    if (MovedFrame* handlers = move_to_handler(*moved, action); handlers != nullptr) {
      kernel::prepare_return(frame);
      return_into(frame, handlers, run_handlers, packed);
      block_all_signals(frame);
      kernel::leave_kick_stack(moved->stack);
      tendril_sigreturn(frame);
    }
  } else if (what.gives_way) {
    rt::current_worker_unchecked()->give_way_if_woken();
  }
  kernel::prepare_return(frame);
  kernel::leave_kick_stack(moved->stack);
  tendril_sigreturn(frame);
}

}  // namespace

bool interrupt_program(ucontext_t* frame, const siginfo_t& info, Interruption what) noexcept {
  const rt::Stack stack = kernel::take_kick_stack();
  if (!stack) return false;
  MovedFrame* moved = move_frame(frame, info, reinterpret_cast<uintptr_t>(stack.top()),
                                 reinterpret_cast<uintptr_t>(stack.bottom));
  if (moved == nullptr) {  // its pages cannot be had
    kernel::leave_kick_stack(stack);
    return false;
  }
  moved->stack = stack;
  return_into(frame, moved, go_on, pack(what));
  block_all_signals(frame);
  return true;
}

}  // namespace tendril::trap
