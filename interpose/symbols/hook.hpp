// What every hook does around its green call. Hooks hold no semantics: those are in kernel/.
//
// A cancellation point must be one here too. pthread_cancel signals only a thread whose cancel type
// is asynchronous, which libc's wrappers switch on around their system call. So a hook first tries
// without waiting; when it has to wait it does so with asynchronous cancellation, as the wrapper
// would; and when the call must be restarted after a signal it leaves that to the wrapper, whose
// system call traps and has the registers that a restart needs.
#pragma once

#include <pthread.h>

#include <cerrno>
#include <cstddef>
#include <utility>

#include "interpose/kernel/dispatch.hpp"
#include "interpose/kernel/filtered_call.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/restart.hpp"
#include "interpose/kernel/thread_flag.hpp"
#include "interpose/trap/delivery.hpp"
#include "interpose/trap/held_flags.hpp"
#include "interpose/trap/selector.hpp"
#include "runtime/hub/seeded_schedule.hpp"
#include "runtime/hub/worker.hpp"

namespace tendril::symbols {

// True if the caller is program code of a green thread: not runtime code, and not a vfork child on
// borrowed memory. One look at the worker: selector "block" and vfork_child_runs 0.
inline bool is_program_code() noexcept {
  if (!kernel::is_green_thread) return false;
  static_assert(offsetof(rt::Worker, vfork_child_runs) == 9);
  uint16_t both;
  asm volatile("movw %%gs:8, %0" : "=r"(both));
  return both == 1;
}

template <typename Result>
Result to_libc_result(long result) noexcept {
  if (result >= 0) return static_cast<Result>(result);
  errno = static_cast<int>(-result);
  return -1;
}

// Runs the call as runtime code. *attention: signals may have to be delivered. *progress: what a
// try has moved, for the full call that follows; kept by the hook, since a handler may run in
// between, and what it calls goes on where nobody has begun.
template <typename Call>
long run_green(bool trying, Call&& call, bool* attention, kernel::Progress* progress) {
  trap::enter_runtime();
  rt::switch_point();
  ++rt::current_worker_unchecked()->stats.calls_by_symbol;
  kernel::GreenThread* thread = kernel::current_thread();
  trap::hold_alignment_checks(thread);
  thread->trying = trying;
  thread->progress = *progress;
  long result = call();
  *progress = std::exchange(thread->progress, {});
  thread->trying = false;
  if (thread->filtered.happened) [[unlikely]]
    result = kernel::leave_filtered_call_to_trap();
  *attention = kernel::attention_needed_at_end() || thread->held_flags != 0;
  thread->hold_delivery = *attention || kernel::is_restart_code(result);
  trap::leave_runtime();
  return result;
}

template <typename Result, typename Call, typename Libc>
Result cancellation_point(Call&& call, Libc&& libc) {
  pthread_testcancel();
  bool attention;
  kernel::Progress progress;
  long result = run_green(true, call, &attention, &progress);
  if (result == -kernel::kWouldWait) {
    int type;
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
    result = run_green(false, call, &attention, &progress);
    if (result < 0 && attention && !kernel::is_restart_code(result)) {
      trap::deliver_signals_by_trap();
      attention = false;
    }
    pthread_setcanceltype(type, nullptr);
  }
  if (kernel::is_restart_code(result)) return libc();
  if (attention) trap::deliver_signals_by_trap();
  return to_libc_result<Result>(result);
}

template <typename Result, typename Call, typename Libc>
Result plain(Call&& call, Libc&& libc) {
  bool attention;
  kernel::Progress progress;
  const long result = run_green(false, call, &attention, &progress);
  if (kernel::is_restart_code(result)) return libc();
  if (attention) trap::deliver_signals_by_trap();
  return to_libc_result<Result>(result);
}

}  // namespace tendril::symbols
