// timer_create(2), timer_delete(2) and what uses them: a timer may notify one thread
// (SIGEV_THREAD_ID), which glibc uses for SIGEV_THREAD. The kernel does not know green tids: it
// signals the process, and we pass the signal on by the timer's id. A timer on the CPU time of its
// maker needs a kernel thread whose time is nobody else's.
#include <signal.h>

#include <cerrno>

#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/thread_clock.hpp"
#include "interpose/kernel/thread_timers.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "runtime/memory/allocator.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {

ThreadTimers& thread_timers() noexcept {
  static constinit ThreadTimers instance;
  return instance;
}

bool ThreadTimers::add(int timer, int tid) noexcept {
  auto* entry = rt::runtime_new<Entry>();
  if (entry == nullptr) return false;
  rt::SpinGuard guard(lock_);
  *entry = {timer, tid, first_};
  first_ = entry;
  return true;
}

void ThreadTimers::remove(int timer) noexcept {
  rt::SpinGuard guard(lock_);
  for (Entry** link = &first_; *link != nullptr; link = &(*link)->next) {
    if ((*link)->timer != timer) continue;
    Entry* gone = *link;
    *link = gone->next;
    rt::runtime_delete(gone);
    return;
  }
}

int ThreadTimers::target(int timer) noexcept {
  rt::SpinGuard guard(lock_);
  for (Entry* entry = first_; entry != nullptr; entry = entry->next) {
    if (entry->timer == timer) return entry->tid;
  }
  return 0;
}

void ThreadTimers::reset_after_fork() noexcept {
  lock_.reset_after_fork();
  first_ = nullptr;  // POSIX: timers are not inherited
}

long sys_timer_create(Call& call) {
  if (const ThreadClock clock(call.arguments[0]); clock.is_thread_clock) {
    if (clock.tid != 0 && clock.tid != current_thread()->tid) return -EINVAL;
    if (!bind_thread()) return -EAGAIN;
    call.arguments[0] = CLOCK_THREAD_CPUTIME_ID;
  }
  constexpr size_t kEventSize = 64;  // the kernel's struct sigevent
  auto* user_event = reinterpret_cast<const void*>(call.arguments[1]);
  union {
    sigevent event;
    char bytes[kEventSize];
  };
  if (user_event == nullptr || copy_in_bytes(bytes, user_event, kEventSize) != 0 ||
      event.sigev_notify != SIGEV_THREAD_ID) {
    return pass(call);
  }
  const int tid = event._sigev_un._tid;
  bool known;
  {
    rt::SpinGuard guard(threads().lock);
    known = threads().find(tid) != nullptr;
  }
  if (!known) return pass(call);  // the kernel does not know it either, and says what is wrong
  event.sigev_notify = SIGEV_SIGNAL;
  const long result =
      rt::raw_syscall(SYS_timer_create, call.arguments[0], bytes, call.arguments[2]);
  if (result != 0) return result;
  int timer = 0;
  copy_in(&timer, reinterpret_cast<const void*>(call.arguments[2]));
  if (!thread_timers().add(timer, tid)) {
    rt::raw_syscall(SYS_timer_delete, timer);
    return -EAGAIN;
  }
  return 0;
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

long sys_timer_use(Call& call) {
  if (is_slice_timer(call.arguments[0])) call.arguments[0] = kNoTimer;
  return pass(call);
}

long sys_timer_delete(Call& call) {
  if (is_slice_timer(call.arguments[0])) call.arguments[0] = kNoTimer;
  thread_timers().remove(static_cast<int>(call.arguments[0]));
  return pass(call);
}

}  // namespace tendril::kernel
