// setfsuid(2), setfsgid(2), capset(2), capget(2), personality(2), unshare(2), setns(2),
// landlock_restrict_self(2) and the prctl(2)s that concern one kernel thread
//
// What a green thread does to its kernel thread must not fall upon the others that share it. So the
// thread that does it goes on on a kernel thread of its own, for good (it is bound); the threads
// that it makes are bound, too. The only green thread of a process needs none: the workers, which
// its threads will share, all make the call. Where that would not be the same, or the Linux kernel
// asks for a process with one thread, all kernel threads but the first end before (namespaces).
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>

#include <cerrno>

#include "interpose/kernel/aside.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/report.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/thread_limit.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "runtime/hub/offload.hpp"
#include "runtime/platform/backoff.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
// The only green thread of its process, and it has no kernel thread of its own.
bool is_last_thread() noexcept {
  return threads().count() == 1 && !rt::current_worker_unchecked()->reserved;
}

namespace {

// A call that every worker may make for itself, to the same effect.
long do_for_own_thread(const Call& call) noexcept {
  if (is_last_thread()) {
    workers().retire_watchdog();
    const long result = pass(call);
    if (result >= 0) {
      call_on_other_workers(call.number, call.arguments);
      rt::offload_retire_threads();
    }
    return result;
  }
  if (!bind_thread()) return -EAGAIN;
  return pass(call);
}

// What has ended may have to be released yet. False if others than ours are there.
bool becomes_only_kernel_thread() noexcept {
  constexpr int kMostLooks = 5000;  // a tenth of a second and more
  rt::Backoff backoff;
  for (int looks = 0; looks < kMostLooks; ++looks) {
    // Changes nothing, and is refused where there are several.
    if (rt::raw_syscall(SYS_unshare, CLONE_THREAD) != -EINVAL) return true;
    backoff.yield();
  }
  return false;
}

}  // namespace

// On the only kernel thread of the process, which /proc/self shows. Afterwards others are made from
// it, unless the call forbids that: then there can be no second green thread either, as natively.
long do_on_only_kernel_thread(const Call& call) noexcept {
  if (!workers().withdraw_to_first()) {
    workers().end_withdrawal();
    return bind_thread() ? pass(call) : -EAGAIN;
  }
  carry_parent_death_signal();
  rt::offload_retire_threads();
  becomes_only_kernel_thread();  // if not, it is the Linux kernel's to refuse
  const long result = pass(call);
  if (result >= 0) {
    const bool may_have_threads = call_aside(nullptr, 0);
    rt::offload_here(!may_have_threads);
    forbid_threads(!may_have_threads);
  }
  workers().end_withdrawal();
  return result;
}

namespace {

// Whether the Linux kernel would allow it at all: a thread is not bound for nothing.
long try_aside(const Call& call) noexcept {
  const long* a = call.arguments;
  AsideCall tried[] = {{call.number, {a[0], a[1], a[2], a[3], a[4], a[5]}}};
  if (rt::current_worker_unchecked()->reserved) return 0;
  return call_aside(tried, 1) && tried[0].result < 0 ? tried[0].result : 0;
}

long try_then_do(const Call& call) noexcept {
  const long error = try_aside(call);
  return error < 0 ? error : do_for_own_thread(call);
}

// The kernel thread that a green thread's capabilities are asked of; 0: the caller's.
int kernel_thread_of(int tid, bool* found) noexcept {
  rt::SpinGuard guard(threads().lock);
  GreenThread* thread = threads().find(tid);
  *found = thread != nullptr;
  if (thread == nullptr || thread == current_thread()) return 0;
  const rt::Worker* worker = thread->fiber->worker;
  if (worker->reserved) return worker->os_tid;
  return rt::current_worker_unchecked()->reserved ? workers().first()->os_tid : 0;
}

// The call with a header whose thread the Linux kernel knows.
struct CapabilityCall {
  Call call;
  __user_cap_header_struct header;
  void* users;

  explicit CapabilityCall(const Call& original) noexcept : call(original) {
    users = reinterpret_cast<void*>(original.arguments[0]);
  }
  long prepare() noexcept {
    if (copy_in(&header, users) != 0) return -EFAULT;
    bool found = false;
    const int tid = header.pid > 0 ? kernel_thread_of(header.pid, &found) : 0;
    if (found) header.pid = tid;
    call.arguments[0] = reinterpret_cast<long>(&header);
    return 0;
  }
  // An unknown version is answered with the one that the Linux kernel would like.
  long finish(long result) noexcept {
    return copy_out(users, header.version) != 0 ? -EFAULT : result;
  }
};

constexpr long kPrSetSecurebits = 28;
constexpr long kPrCapAmbient = 47;
constexpr long kPrSetIoFlusher = 57;

}  // namespace

bool bind_thread() noexcept {
  if (workers().bind_current_fiber()) {
    current_thread()->bound_for_scheduling = false;
    return true;
  }
  Report()
      .text("tendril: green thread ")
      .number(current_thread()->tid)
      .text(" cannot have an OS thread of its own, which a system call of it needs: too many have")
      .send();
  return false;
}

long sys_setfsid(Call& call) {
  constexpr long kNobody = -1;  // changes nothing
  const long now = rt::raw_syscall(call.number, kNobody);
  if (static_cast<uint32_t>(call.arguments[0]) == static_cast<uint32_t>(now)) return now;
  AsideCall tried[] = {{call.number, {call.arguments[0]}}, {call.number, {kNobody}}};
  const bool changes = call_aside(tried, 2) && tried[1].result != now;
  if (!changes && !rt::current_worker_unchecked()->reserved) return now;
  const long result = do_for_own_thread(call);
  return result < 0 ? now : result;
}

long sys_capget(Call& call) {
  CapabilityCall own(call);
  if (const long error = own.prepare(); error != 0) return error;
  return own.finish(pass(own.call));
}

long sys_capset(Call& call) {
  CapabilityCall own(call);
  if (const long error = own.prepare(); error != 0) return error;
  return own.finish(try_then_do(own.call));
}

long sys_personality(Call& call) {
  constexpr uint32_t kAsk = 0xffffffff;
  if (static_cast<uint32_t>(call.arguments[0]) == kAsk) return pass(call);
  return do_for_own_thread(call);
}

long sys_unshare(Call& call) {
  const long flags = call.arguments[0];
  if (flags == 0) return pass(call);
  if (is_last_thread()) return do_on_only_kernel_thread(call);
  if ((flags & CLONE_FILES) != 0) {
    Report()
        .text("tendril: a green thread cannot have a descriptor table of its own (unshare)")
        .send();
    return -EINVAL;
  }
  return try_then_do(call);
}

long sys_setns(Call& call) {
  return is_last_thread() ? do_on_only_kernel_thread(call) : try_then_do(call);
}

// Made twice it makes two domains, and from the one nobody traces or signals the other.
long sys_landlock_restrict_self(Call& call) {
  return is_last_thread() ? do_on_only_kernel_thread(call) : try_then_do(call);
}

bool is_of_own_thread(long option, long argument) noexcept {
  constexpr long kAmbientIsSet = 1;
  switch (option) {
    case PR_SET_KEEPCAPS:
    case PR_CAPBSET_DROP:
    case PR_SET_NO_NEW_PRIVS:
    case PR_SET_TSC:
    case PR_MCE_KILL:
    case PR_SET_SPECULATION_CTRL:
    case kPrSetSecurebits:
    case kPrSetIoFlusher:
      return true;
    case kPrCapAmbient:
      return argument != kAmbientIsSet;
    default:
      return false;
  }
}

long prctl_of_own_thread(const Call& call) noexcept { return try_then_do(call); }

}  // namespace tendril::kernel
