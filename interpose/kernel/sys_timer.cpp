// timer_create(2), timer_delete(2) and what uses them. A timer may notify one thread
// (SIGEV_THREAD_ID), which glibc uses for SIGEV_THREAD. The kernel does not know green tids: it
// signals the process, and we pass the signal on by the timer's id. A timer on the CPU time of a
// thread needs a kernel thread whose time is nobody else's.
#include <signal.h>

#include <cerrno>

#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/own_kernel_thread.hpp"
#include "interpose/kernel/posix_timers.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/thread_clock.hpp"
#include "interpose/kernel/time_arguments.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "runtime/hub/cpu_time.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {

// `tid`: whom it notifies; 0: the process.
static long note_made(const Call& call, int tid, int clock_tid, long result) noexcept {
  int timer;
  if (result != 0 || copy_in(&timer, reinterpret_cast<const void*>(call.arguments[2])) != 0) {
    return result;
  }
  if (posix_timers().add(timer, tid, clock_tid)) return 0;
  rt::raw_syscall(SYS_timer_delete, timer);
  return -EAGAIN;
}

long sys_timer_create(Call& call) {
  int clock_tid = 0;
  if (const ThreadClock clock(call.arguments[0]); clock.is_thread_clock) {
    clock_tid = clock.tid != 0 ? clock.tid : current_thread()->tid;
    const long kernel_thread = own_kernel_thread_of(clock_tid);
    if (kernel_thread < 0) return kernel_thread;
    call.arguments[0] = rt::thread_cpu_clock(static_cast<int>(kernel_thread));
  }
  constexpr size_t kEventSize = 64;  // the kernel's struct sigevent
  auto* user_event = reinterpret_cast<const void*>(call.arguments[1]);
  union {
    sigevent event;
    char bytes[kEventSize];
  };
  if (user_event == nullptr || copy_in_bytes(bytes, user_event, kEventSize) != 0 ||
      event.sigev_notify != SIGEV_THREAD_ID) {
    return note_made(call, 0, clock_tid, pass(call));
  }
  const int tid = event._sigev_un._tid;
  bool known;
  {
    rt::SpinGuard guard(threads().lock);
    known = threads().find(tid) != nullptr;
  }
  // The kernel does not know it either, and says what is wrong.
  if (!known) return note_made(call, 0, clock_tid, pass(call));
  event.sigev_notify = SIGEV_SIGNAL;
  return note_made(call, tid, clock_tid,
                   rt::raw_syscall(SYS_timer_create, call.arguments[0], bytes, call.arguments[2]));
}

// Those by which we divide time into slices are none of the program's: the kernel is asked for one
// that does not exist, and says what it says in its own order.
constexpr long kNoTimer = -1;

static bool is_slice_timer(long timer) noexcept {
  bool found = false;
  workers().for_each_worker([&](rt::Worker& worker) {
    const WorkerState* state = state_of(&worker);
    if (state != nullptr && state->slice_timer == static_cast<int>(timer)) found = true;
  });
  return found;
}

static void hide_slice_timer(Call& call) noexcept {
  if (is_slice_timer(call.arguments[0])) call.arguments[0] = kNoTimer;
}

// What has expired by the setting so far, and has reached this worker, is pending with us.
static long change_timer(Call& call) noexcept {
  hide_slice_timer(call);
  post_arrived_signals();
  return signals().change_timer(static_cast<int>(call.arguments[0]), call.number, call.arguments);
}

long sys_timer_gettime(Call& call) {
  hide_slice_timer(call);
  return pass(call);
}

// The CPU time of the kernel thread when that of the green thread is `time`; at least 1, for 0
// means no time.
static rt::Nanoseconds on_kernel_clock(int tid, rt::Nanoseconds time) noexcept {
  rt::SpinGuard guard(threads().lock);  // it stays alive meanwhile
  GreenThread* thread = threads().find(tid);
  if (thread == nullptr || !thread->fiber->worker->reserved) return time;
  // In this order: between the two it may run on, and no timer may expire early.
  const rt::Nanoseconds left = time - rt::cpu_time_of(*thread->fiber);
  timespec now{};
  rt::raw_syscall(SYS_clock_gettime, rt::thread_cpu_clock(thread->fiber->worker->os_tid), &now);
  const rt::Nanoseconds at = left + rt::to_nanoseconds(now);
  return at > 0 ? at : 1;
}

long sys_timer_settime(Call& call) {
  const int clock_tid = posix_timers().clock_of(static_cast<int>(call.arguments[0]));
  itimerspec wanted;
  if (clock_tid == 0 || (call.arguments[1] & TIMER_ABSTIME) == 0 ||
      copy_in(&wanted, reinterpret_cast<const void*>(call.arguments[2])) != 0 ||
      !is_valid(wanted.it_value) || rt::to_nanoseconds(wanted.it_value) == 0) {
    return change_timer(call);
  }
  wanted.it_value =
      rt::to_timespec(on_kernel_clock(clock_tid, rt::to_nanoseconds(wanted.it_value)));
  call.arguments[2] = reinterpret_cast<long>(&wanted);
  return change_timer(call);
}

long sys_timer_getoverrun(Call& call) {
  hide_slice_timer(call);
  const long result = pass(call);
  int counted;
  const bool is_ours = posix_timers().overruns(static_cast<int>(call.arguments[0]),
                                               signals().kernel_mask(), &counted);
  return result >= 0 && is_ours ? counted : result;
}

long sys_timer_delete(Call& call) {
  const long result = change_timer(call);
  if (result == 0) posix_timers().remove(static_cast<int>(call.arguments[0]));
  return result;
}

}  // namespace tendril::kernel
