// sched_setscheduler(2), sched_setattr(2), sched_setaffinity(2), setpriority(2), ioprio_set(2), the
// others of their kind, and the questions about them
#include <sched.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>

#include "interpose/kernel/aside.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/own_kernel_thread.hpp"
#include "interpose/kernel/scheduling.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "runtime/hub/park.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

constexpr int kIoPriorityOfProcess = 1;  // IOPRIO_WHO_PROCESS

template <typename T>
long address(T* pointer) noexcept {
  return reinterpret_cast<long>(pointer);
}

// Calls use(Scheduling&) for a green thread, 0 being the caller. False if there is none of that
// tid: the question is about another process then, and the kernel's.
template <typename Use>
bool with_scheduling(long id, Use&& use) noexcept {
  const int tid = static_cast<int>(id);
  rt::SpinGuard guard(threads().lock);
  GreenThread* thread = tid == 0 ? current_thread() : threads().find(tid);
  if (thread == nullptr) return false;
  use(thread->scheduling);
  return true;
}

// The attributes and the nice value; not the affinity, which belongs to the thread.
bool snapshot(long tid, Scheduling* copy) noexcept {
  return with_scheduling(tid, [&](const Scheduling& s) {
    *copy = s;
    copy->affinity = nullptr;
  });
}

void call_on_all_workers(long number, const long (&a)[6]) noexcept {
  rt::raw_syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  call_on_other_workers(number, a);
}

// The caller is the only green thread: those to come inherit what it sets, so the workers may have
// it too. No other can appear meanwhile.
bool is_alone() noexcept { return threads().count() == 1; }

// Affinity and real-time class are carried out on a kernel thread that is the green thread's alone.
// Another than the caller is interrupted, and sees to it itself.
void ask_for_own_kernel_thread(int tid) noexcept {
  GreenThread* self = current_thread();
  {
    rt::SpinGuard guard(threads().lock);
    GreenThread* thread = tid == 0 ? self : threads().find(tid);
    if (thread == nullptr) return;
    thread->scheduling_to_carry_out.store(true, std::memory_order_release);
    if (thread != self) return rt::interrupt(thread->fiber);
  }
  carry_out_scheduling(self);
}

// Whether the workers run on no others anyway.
bool includes_all_of_the_workers(const unsigned char* bits, size_t size) noexcept {
  unsigned char mask[kMostMaskBytes];
  const long had =
      rt::raw_syscall(SYS_sched_getaffinity, workers().first()->os_tid, sizeof mask, mask);
  if (had != static_cast<long>(size)) return true;
  for (size_t i = 0; i < size; ++i) {
    if ((mask[i] & ~bits[i]) != 0) return false;
  }
  return true;
}

// Sets class or nice value. `who` is the index of the argument that names the thread.
long set_class(const Call& call, int who) noexcept {
  Scheduling before;
  const long tid = call.arguments[who];
  if (!snapshot(tid, &before)) return pass(call);
  SchedAttributes after;
  AsideCall calls[] = {
      {SYS_setpriority, {PRIO_PROCESS, 0, before.nice}},
      {SYS_sched_setattr, {0, address(&before.attributes), 0}},
      {call.number, {}},
      {SYS_sched_getattr, {0, address(&after), sizeof after, 0}},
      {SYS_getpriority, {PRIO_PROCESS, 0}},
  };
  std::memcpy(calls[2].arguments, call.arguments, sizeof call.arguments);
  calls[2].arguments[who] = 0;
  if (!call_aside(calls, std::size(calls))) return -ENOMEM;
  if (calls[2].result < 0) return calls[2].result;
  const int nice = 20 - static_cast<int>(calls[4].result);
  const bool carried_out = is_alone();
  if (carried_out && nice != before.nice) {
    call_on_all_workers(SYS_setpriority, {PRIO_PROCESS, 0, nice});
  }
  with_scheduling(tid, [&](Scheduling& s) {
    s.attributes = after;
    s.nice = nice;
    s.differs = true;
  });
  if (!carried_out && (is_real_time(after.policy) || is_real_time(before.attributes.policy))) {
    ask_for_own_kernel_thread(static_cast<int>(tid));
  }
  return calls[2].result;
}

constinit rt::SpinLock mask_lock;  // of the workers' affinity

// The workers may run wherever a green thread may. They are narrowed only while there is one: the
// threads that it makes inherit that.
void let_workers_run_on(const unsigned char* bits, size_t size) noexcept {
  rt::SpinGuard guard(mask_lock);
  unsigned char mask[kMostMaskBytes];
  const bool narrow = is_alone();
  if (!narrow) {
    const long had = rt::raw_syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
    if (had != static_cast<long>(size)) return;
    bool wider = false;
    for (size_t i = 0; i < size; ++i) {
      wider |= (bits[i] & ~mask[i]) != 0;
      mask[i] |= bits[i];
    }
    if (!wider) return;
  }
  call_on_all_workers(SYS_sched_setaffinity,
                      {0, static_cast<long>(size), address(narrow ? bits : mask)});
}

}  // namespace

void scheduling_calls_reset_after_fork() noexcept { mask_lock.reset_after_fork(); }

long sys_sched_set(Call& call) { return set_class(call, 0); }

long sys_sched_setaffinity(Call& call) {
  const long tid = call.arguments[0];
  if (!with_scheduling(tid, [](Scheduling&) {})) return pass(call);
  unsigned char bits[kMostMaskBytes];
  // What is left of the mask is what the process may use at all.
  AsideCall calls[] = {{SYS_sched_setaffinity, {0, call.arguments[1], call.arguments[2]}},
                       {SYS_sched_getaffinity, {0, sizeof bits, address(bits)}}};
  if (!call_aside(calls, std::size(calls))) return -ENOMEM;
  if (calls[0].result < 0) return calls[0].result;
  if (calls[1].result < 0) return calls[1].result;
  const auto size = static_cast<size_t>(calls[1].result);
  bool remembered = false;
  with_scheduling(tid, [&](Scheduling& s) {
    remembered = remember_affinity(&s, bits, size);
    s.differs = true;
  });
  if (!remembered) return -ENOMEM;
  if (is_alone() || includes_all_of_the_workers(bits, size)) let_workers_run_on(bits, size);
  if (!is_alone()) ask_for_own_kernel_thread(static_cast<int>(tid));
  return 0;
}

void carry_out_scheduling(GreenThread* thread) noexcept {
  if (thread->wish.load(std::memory_order_relaxed) == Wish::kOpen) carry_out_wish(thread);
  if (!thread->scheduling_to_carry_out.load(std::memory_order_relaxed)) return;
  thread->scheduling_to_carry_out.exchange(false, std::memory_order_acquire);
  unsigned char bits[kMostMaskBytes];
  size_t size = 0;
  SchedAttributes attributes;
  {
    rt::SpinGuard guard(threads().lock);
    const Scheduling& s = thread->scheduling;
    attributes = s.attributes;
    if (s.affinity != nullptr) {
      size = s.affinity_size;
      std::memcpy(bits, s.affinity, size);
    }
  }
  const bool pinned = size != 0 && !includes_all_of_the_workers(bits, size);
  if (!rt::current_worker_unchecked()->reserved) {
    if (!pinned && !is_real_time(attributes.policy)) return;
    if (!bind_thread()) return;
    thread->bound_for_scheduling = true;
  }
  if (size != 0) rt::raw_syscall(SYS_sched_setaffinity, 0, size, bits);
  rt::raw_syscall(SYS_sched_setattr, 0, &attributes, 0);
}

long sys_sched_getaffinity(Call& call) {
  Call own = call;
  own.arguments[0] = workers().first()->os_tid;  // what those have that were told nothing
  unsigned char bits[kMostMaskBytes];
  size_t size = 0;
  if (!with_scheduling(call.arguments[0], [&](const Scheduling& s) {
        size = s.affinity_size;
        if (s.affinity != nullptr) std::memcpy(bits, s.affinity, size);
      })) {
    return pass(call);
  }
  const long result = pass(own);  // checks length and pointer
  if (result <= 0 || size == 0) return result;
  const auto wanted = static_cast<size_t>(result);
  return copy_out_bytes(reinterpret_cast<void*>(call.arguments[2]), bits,
                        wanted < size ? wanted : size) != 0
             ? -EFAULT
             : result;
}

long sys_sched_getscheduler(int tid) {
  Scheduling s;
  if (!snapshot(tid, &s)) return rt::raw_syscall(SYS_sched_getscheduler, tid);
  const bool resets = (s.attributes.flags & kResetOnFork) != 0;
  return static_cast<long>(s.attributes.policy) | (resets ? SCHED_RESET_ON_FORK : 0);
}

long sys_sched_getparam(int tid, void* parameters) {
  Scheduling s;
  if (parameters == nullptr || !snapshot(tid, &s)) {
    return rt::raw_syscall(SYS_sched_getparam, tid, parameters);
  }
  return copy_out(parameters, s.attributes.priority);
}

long sys_sched_getattr(Call& call) {
  Scheduling s;
  if (!snapshot(call.arguments[0], &s)) return pass(call);
  Call own = call;
  own.arguments[0] = 0;
  const long result = pass(own);  // checks the arguments and says how much it knows
  if (result != 0) return result;
  auto* target = reinterpret_cast<char*>(call.arguments[1]);
  uint32_t size;
  if (copy_in(&size, target) != 0) return -EFAULT;
  const size_t known = size < sizeof s.attributes ? size : sizeof s.attributes;
  return copy_out_bytes(target + sizeof size, reinterpret_cast<char*>(&s.attributes) + sizeof size,
                        known - sizeof size);
}

long sys_sched_rr_get_interval(Call& call) {
  Scheduling s;
  if (!snapshot(call.arguments[0], &s)) return pass(call);
  AsideCall calls[] = {{SYS_sched_setattr, {0, address(&s.attributes), 0}},
                       {SYS_sched_rr_get_interval, {0, call.arguments[1]}}};
  return call_aside(calls, std::size(calls)) ? calls[1].result : -ENOMEM;
}

long sys_setpriority(Call& call) {
  const long which = call.arguments[0];
  const long who = call.arguments[1];
  if (which == PRIO_PROCESS) return set_class(call, 1);
  // Of a process group, or of a user: all kernel threads of its processes, workers included.
  const long result = pass(call);
  if (result != 0) return result;
  const long ours = which == PRIO_PGRP ? rt::raw_syscall(SYS_getpgrp) : rt::raw_syscall(SYS_getuid);
  if (who != 0 && who != ours) return result;
  const int nice = 20 - static_cast<int>(rt::raw_syscall(SYS_getpriority, PRIO_PROCESS, 0));
  threads().for_each([&](GreenThread* thread) {
    thread->scheduling.nice = nice;
    thread->scheduling.attributes.nice = nice;
  });
  return result;
}

long sys_getpriority(Call& call) {
  Scheduling s;
  if (call.arguments[0] != PRIO_PROCESS || !snapshot(call.arguments[1], &s)) return pass(call);
  return 20 - s.nice;
}

long sys_ioprio_set(Call& call) {
  const long tid = call.arguments[1];
  if (call.arguments[0] != kIoPriorityOfProcess || !with_scheduling(tid, [](Scheduling&) {})) {
    return pass(call);
  }
  AsideCall calls[] = {{SYS_ioprio_set, {kIoPriorityOfProcess, 0, call.arguments[2]}},
                       {SYS_ioprio_get, {kIoPriorityOfProcess, 0}}};
  if (!call_aside(calls, std::size(calls))) return -ENOMEM;
  if (calls[0].result < 0) return calls[0].result;
  with_scheduling(tid, [&](Scheduling& s) {
    s.io_priority = static_cast<int>(calls[1].result);
    s.differs = true;
  });
  return 0;
}

long sys_ioprio_get(Call& call) {
  Scheduling s;
  if (call.arguments[0] != kIoPriorityOfProcess || !snapshot(call.arguments[1], &s)) {
    return pass(call);
  }
  return s.io_priority;
}

long set_timer_slack(uint64_t nanoseconds) noexcept {
  with_scheduling(0, [&](Scheduling& s) {
    s.timer_slack = nanoseconds != 0 ? nanoseconds : s.default_timer_slack;
    s.differs = true;
  });
  return 0;
}

long timer_slack() noexcept {
  Scheduling s;
  snapshot(0, &s);
  return static_cast<long>(s.timer_slack);
}

}  // namespace tendril::kernel
