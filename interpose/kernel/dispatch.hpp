// The user-level kernel's entry: one table from system call numbers to what becomes of them.
//
// Every front end comes here. A green system call is a function `sys_NAME` in the file of its
// family; it takes the kernel's arguments and returns the kernel's result (-errno, or one of the
// restart codes of restart.hpp).
#pragma once

#include <sys/ucontext.h>

#include <cstdint>

#include "interpose/kernel/worker_state.hpp"

namespace tendril::kernel {

struct Call {
  long number;
  long arguments[6];
  ucontext_t* frame;                     // of the trap; null when the call came by another way
  const gregset_t* registers = nullptr;  // the program's; null where the call has no use for them
};

enum class Verdict : uint8_t {
  kGreen,    // done here; waits park the green thread
  kTracked,  // done by the kernel, and we take note
  kPass,     // done by the kernel: does not wait, or not for long
  kRefused,  // not available in a green process: an errno
};

// What the table says of a number; unknown ones pass.
Verdict verdict_of(long number) noexcept;
using SyscallFunction = long (*)(Call& call);
SyscallFunction function_of(long number) noexcept;  // null for kPass

// Precondition: runtime code, on a green thread.
long dispatch(Call& call) noexcept;

// Carries the call out natively. An EINTR that is not meant for this green thread is hidden.
long pass(const Call& call) noexcept;

// True if signals may have to be delivered.
inline bool signals_may_wait(rt::Worker* worker) noexcept {
  return worker->current->interrupt_pending.load(std::memory_order_relaxed) ||
         !state_of(worker)->inbox.empty();
}

// The same, or the thread is to be preempted, before the program goes on.
inline bool attention_needed() noexcept {
  rt::Worker* worker = rt::current_worker_unchecked();
  return worker->preemption_due != rt::Preemption::kNone || signals_may_wait(worker);
}

// The same at the end of a call. Who is to be preempted is, here, where it costs no signal frame: a
// coroutine's small stack may have no room for one. So is a thread that computes and has woken
// another, and one whose calls have long not waited. Runtime mode.
inline bool attention_needed_at_end() noexcept {
  // What the call itself has raised comes before it returns, wherever the thread is by then.
  if (rt::current_worker_unchecked()->turn_may_be_over()) [[unlikely]] {
    post_arrived_signals();
    rt::current_worker_unchecked()->end_turn();
  }
  if (__builtin_expect(!attention_needed(), true)) return false;
  post_arrived_signals();
  rt::Worker* worker = rt::current_worker_unchecked();
  if (worker->preemption_due != rt::Preemption::kNone) worker->carry_out_preemption();
  return attention_needed();  // and maybe on another worker
}

}  // namespace tendril::kernel
