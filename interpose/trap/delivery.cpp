#include "interpose/trap/delivery.hpp"

#include <cerrno>
#include <cstring>

#include "interpose/kernel/activation.hpp"
#include "interpose/kernel/alternate_stack.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/protection_keys.hpp"
#include "interpose/kernel/restart.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "interpose/trap/selector.hpp"

extern "C" void tendril_call_on_stack(int signal, siginfo_t* info, void* context, void* handler,
                                      void* stack);

namespace tendril::trap {
namespace {

using kernel::GreenThread;
using kernel::KernelAction;

// The kernel's ucontext holds 8 bytes of mask where glibc's declares 128.
uint64_t& mask_of(ucontext_t* frame) noexcept {
  return *reinterpret_cast<uint64_t*>(&frame->uc_sigmask);
}

void run_handler(GreenThread* thread, int signal, siginfo_t* info, const KernelAction& action,
                 ucontext_t* frame) {
  const uint64_t resume_mask = thread->restore_blocked ? thread->saved_blocked : thread->blocked;
  thread->restore_blocked = false;
  uint64_t handler_mask = thread->blocked | action.mask;
  if ((action.flags & SA_NODEFER) == 0) handler_mask |= kernel::signal_bit(signal);
  kernel::signals().set_blocked(thread, handler_mask);
  // If this was the only one, the first call that the handler makes need not look for more: it
  // would take a trap and the room of a signal frame, of which small stacks have few.
  if (thread->fiber->interrupt_pending.load()) (void)kernel::signals().has_accepted(thread);
  mask_of(frame) = resume_mask;  // the handler may look at it, and change it
  frame->uc_stack = thread->alternate_stack;

  // That of a fault has been moved to the alternate stack, and so have we: see fault.cpp.
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  void* stack = nullptr;
  if ((action.flags & SA_ONSTACK) != 0 && kernel::takes_handler(thread->alternate_stack, here)) {
    const auto top = reinterpret_cast<uintptr_t>(thread->alternate_stack.ss_sp) +
                     thread->alternate_stack.ss_size;
    stack = reinterpret_cast<void*>(top & ~uintptr_t{15});
  }
  kernel::disarm_if_asked(&thread->alternate_stack);

  const int outer = thread->handling;
  thread->handling = signal;
  const kernel::HandlerKeyRights key_rights;
  leave_runtime();
  if (stack != nullptr) {
    tendril_call_on_stack(signal, info, frame, action.handler, stack);
  } else {
    reinterpret_cast<void (*)(int, siginfo_t*, void*)>(action.handler)(signal, info, frame);
  }
  // In a child that the handler has made, the Linux kernel has mask and stack now, and the frame
  // tells it what they are to be.
  if (!kernel::is_active()) return;
  enter_runtime();
  key_rights.restore();
  thread = kernel::current_thread();  // such a child's own, if it is green again
  thread->handling = outer;

  // As by the return from a signal frame: what the handler has made of the frame counts, unless it
  // ran on the stack that this would change.
  kernel::change_alternate_stack(&thread->alternate_stack, frame->uc_stack,
                                 stack != nullptr ? reinterpret_cast<uintptr_t>(stack) : here);
  kernel::signals().set_blocked(thread, mask_of(frame));
  mask_of(frame) = kernel::signals().kernel_mask();
}

}  // namespace

void deliver_signals(ucontext_t* frame, long result, long number) {
  kernel::post_arrived_signals();  // before the thread may leave their worker: some are its own
  rt::current_worker_unchecked()->carry_out_preemption();
  GreenThread* thread = kernel::current_thread();
  kernel::carry_out_scheduling(thread);
  thread->hold_delivery = false;
  greg_t* registers = frame->uc_mcontext.gregs;
  const bool restartable = number != kNoCall && kernel::is_restart_code(result);
  const auto restart = [&] {
    registers[REG_RAX] = number;
    registers[REG_RIP] -= 2;  // the length of `syscall`
  };
  if (number != kNoCall && !restartable) registers[REG_RAX] = result;
  bool decided = !restartable;
  siginfo_t info;
  KernelAction action;
  for (;;) {
    kernel::post_arrived_signals();
    if (!thread->fiber->interrupt_pending.load(std::memory_order_seq_cst)) break;
    const int signal = kernel::signals().take_deliverable(thread, &info, &action);
    if (signal == 0) continue;  // interrupt_pending is clear now; look once more for arrivals
    if (!decided) {
      decided = true;
      if (result == -kernel::kRestartAlways ||
          (result == -kernel::kRestartSys && (action.flags & SA_RESTART) != 0)) {
        restart();
      } else {
        registers[REG_RAX] = -EINTR;
      }
    }
    run_handler(thread, signal, &info, action, frame);
    if (!kernel::is_active()) return;
    thread = kernel::current_thread();
  }
  if (!decided) restart();
  if (thread->restore_blocked) {
    thread->restore_blocked = false;
    kernel::signals().set_blocked(thread, thread->saved_blocked);
    if (thread->fiber->interrupt_pending.load()) deliver_signals(frame, 0, kNoCall);
  }
}

// Program code from the trap's point of view: the instruction must raise SIGSYS.
__attribute__((noinline)) void deliver_signals_by_trap() {
  long result;
  asm volatile("syscall" : "=a"(result) : "a"(kDeliverNumber) : "rcx", "r11", "memory");
}

}  // namespace tendril::trap
