// clone(2) and clone3(2) of threads, exit(2), and what belongs to a thread's identity
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/prctl.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "interpose/kernel/futex_table.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/own_kernel_thread.hpp"
#include "interpose/kernel/protection_keys.hpp"
#include "interpose/kernel/report.hpp"
#include "interpose/kernel/robust_list.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/thread_flag.hpp"
#include "interpose/kernel/thread_limit.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "runtime/hub/fatal.hpp"
#include "runtime/hub/park.hpp"
#include "runtime/platform/syscall.hpp"

extern "C" [[noreturn]] void tendril_enter_program(const gregset_t* registers);

namespace tendril::kernel {
namespace {

struct ThreadRequest {
  uint64_t flags;
  uintptr_t stack_top;
  size_t stack_size;
  uintptr_t tls;
  uint32_t* parent_tid;
  uint32_t* child_tid;
};

constexpr uint64_t kThreadFlags = CLONE_VM | CLONE_THREAD | CLONE_SIGHAND;
// The size of a stack given to clone is not known; only sanitizers ask for it.
constexpr size_t kUnknownStackSize = 64 * 1024;

void begin_thread(rt::Fiber*, void* argument) {
  auto* thread = static_cast<GreenThread*>(argument);
  if (rt::keeps_key_rights()) rt::write_key_rights(thread->start_key_rights);
  tendril_enter_program(&thread->start);
}

}  // namespace

void bury_green_thread(rt::Fiber* fiber) {
  auto* thread = static_cast<GreenThread*>(fiber->owner);
  if (uint32_t* word = thread->clear_child_tid; word != nullptr) {
    const uint32_t zero = 0;
    copy_out(word, zero);
    futexes().wake(futex_key(word, /*is_private=*/false), FUTEX_BITSET_MATCH_ANY, 1);
  }
  threads().destroy(thread);
  rt::give_back_fiber(fiber);
}

namespace {

void report_unbound_thread() noexcept {
  Report()
      .text("tendril: green thread ")
      .number(current_thread()->tid)
      .text(" makes one that cannot have its maker's affinity or class: too many have their own")
      .send();
}

long make_thread(const Call& call, const ThreadRequest& request) noexcept {
  if (threads_are_forbidden()) return -EINVAL;
  if (!thread_limit_allows_another()) return -EAGAIN;
  GreenThread* thread = threads().create();
  if (thread == nullptr) return -EAGAIN;
  GreenThread* parent = current_thread();
  const uintptr_t fs_base =
      (request.flags & CLONE_SETTLS) != 0 ? request.tls : parent->fiber->fs_base;
  rt::Fiber* fiber =
      rt::create_fiber_on(begin_thread, thread, reinterpret_cast<void*>(request.stack_top),
                          request.stack_size, fs_base);
  if (fiber == nullptr) {
    threads().destroy(thread);
    return -EAGAIN;
  }
  // A thread inherits what its maker's kernel thread is.
  if (rt::current_worker_unchecked()->reserved) {
    const bool bound = workers().bind(fiber);
    if (!bound && !parent->bound_for_scheduling) {
      threads().destroy(thread);
      rt::give_back_fiber(fiber);
      return -EAGAIN;
    }
    thread->bound_for_scheduling = bound && parent->bound_for_scheduling;
    if (!bound) report_unbound_thread();
  }
  thread->fiber = fiber;
  fiber->owner = thread;
  fiber->last_rites = bury_green_thread;
  std::memcpy(&thread->start, call.registers, sizeof thread->start);
  thread->start[REG_RAX] = 0;
  thread->start[REG_RCX] = thread->start[REG_RIP];
  thread->start[REG_RSP] = static_cast<greg_t>(request.stack_top);
  if (call.number == SYS_clone3) {
    thread->stack_bottom = request.stack_top - request.stack_size;
    thread->stack_top = request.stack_top;
  }
  thread->blocked = parent->blocked;
  thread->start_key_rights = rt::keeps_key_rights() ? rt::read_key_rights() : rt::kInitialKeyRights;
  std::memcpy(thread->name, parent->name, sizeof thread->name);
  {
    rt::SpinGuard guard(threads().lock);
    inherit_scheduling(&thread->scheduling, parent->scheduling);
  }
  if ((request.flags & CLONE_CHILD_CLEARTID) != 0) thread->clear_child_tid = request.child_tid;

  const int tid = threads().add_with_new_tid(thread);
  if (tid < 0) {
    threads().destroy(thread);
    rt::give_back_fiber(fiber);
    return -EAGAIN;
  }
  if ((request.flags & CLONE_PARENT_SETTID) != 0) copy_out(request.parent_tid, tid);
  if ((request.flags & CLONE_CHILD_SETTID) != 0) copy_out(request.child_tid, tid);
  rt::mark_on_worker(fs_base);
  mark_green_thread(fs_base, true);
  parent->last_created = thread;
  if (parent->hold_next_clone) {
    parent->hold_next_clone = false;
  } else {
    rt::start_fiber(fiber);
  }
  return tid;
}

}  // namespace

bool makes_thread(const Call& call) noexcept {
  auto flags = static_cast<uint64_t>(call.arguments[0]);
  if (call.number == SYS_clone3 &&
      copy_in(&flags, reinterpret_cast<const uint64_t*>(call.arguments[0])) != 0) {
    return false;
  }
  return (flags & CLONE_THREAD) != 0;
}

namespace {

// As the Linux kernel takes structures of other versions: a longer one is good if what is unknown
// of it is zero.
long read_clone_arguments(const Call& call, clone_args* args) noexcept {
  constexpr size_t kPage = 4096;
  const auto* from = reinterpret_cast<const char*>(call.arguments[0]);
  const auto size = static_cast<size_t>(call.arguments[1]);
  if (size > kPage) return -E2BIG;
  if (size < CLONE_ARGS_SIZE_VER0) return -EINVAL;
  for (size_t at = sizeof *args; at < size; ++at) {
    char unknown;
    if (copy_in(&unknown, from + at) != 0) return -EFAULT;
    if (unknown != 0) return -E2BIG;
  }
  return copy_in_bytes(args, from, size < sizeof *args ? size : sizeof *args);
}

}  // namespace

long sys_clone(Call& call) {
  // What does not fit 32 bits is for clone3 only, and not looked at.
  const uint64_t flags = static_cast<uint32_t>(call.arguments[0]);
  const auto stack = static_cast<uintptr_t>(call.arguments[1]);
  if ((flags & CLONE_THREAD) == 0) {
    return clone_process(call, flags, reinterpret_cast<void*>(stack));
  }
  if ((flags & kThreadFlags) != kThreadFlags || stack == 0) return -EINVAL;
  return make_thread(call,
                     {flags, stack, kUnknownStackSize, static_cast<uintptr_t>(call.arguments[4]),
                      reinterpret_cast<uint32_t*>(call.arguments[2]),
                      reinterpret_cast<uint32_t*>(call.arguments[3])});
}

long sys_clone3(Call& call) {
  clone_args args{};
  if (const long error = read_clone_arguments(call, &args); error != 0) return error;
  if ((args.flags & CLONE_THREAD) == 0) {
    if (call.frame == nullptr) return -EINVAL;  // it was a thread's when makes_thread looked
    const uint64_t top = args.stack != 0 ? args.stack + args.stack_size : 0;
    return clone_process(call, args.flags, reinterpret_cast<void*>(top));
  }
  if ((args.flags & kThreadFlags) != kThreadFlags || args.exit_signal != 0 || args.stack == 0 ||
      args.stack_size == 0) {
    return -EINVAL;
  }
  return make_thread(call, {args.flags, args.stack + args.stack_size, args.stack_size, args.tls,
                            reinterpret_cast<uint32_t*>(args.parent_tid),
                            reinterpret_cast<uint32_t*>(args.child_tid)});
}

bool leave_threads() noexcept {
  GreenThread* thread = current_thread();
  release_robust_list(thread);
  // What is pending for the process may have been waiting for this thread.
  signals().set_blocked(thread, ~uint64_t{0});
  const bool was_last = threads().remove(thread);
  give_up_wish(thread);
  return was_last;
}

void end_thread() noexcept {
  signals().reroute_process_signals();
  rt::end_fiber();
}

long sys_exit(int status) {
  if (leave_threads()) sys_exit_group(status);
  end_thread();
}

long sys_gettid() { return current_thread()->tid; }

long sys_set_tid_address(uint32_t* word) {
  GreenThread* thread = current_thread();
  thread->clear_child_tid = word;
  return thread->tid;
}

long sys_set_robust_list(void* head, size_t size) {
  if (size != sizeof(robust_list_head)) return -EINVAL;
  current_thread()->robust_list = head;
  return 0;
}

long sys_get_robust_list(int tid, void** head, size_t* size) {
  GreenThread* thread = current_thread();
  if (tid != 0) {
    rt::SpinGuard guard(threads().lock);
    thread = threads().find(tid);
  }
  if (thread == nullptr) return rt::raw_syscall(SYS_get_robust_list, tid, head, size);
  if (tendril_user_store64(size, sizeof(robust_list_head)) != 0) return -EFAULT;
  return tendril_user_store64(head, reinterpret_cast<uintptr_t>(thread->robust_list));
}

// The kernel's rseq belongs to a kernel thread. The launcher tells glibc not to use it; where it
// was not there to do so, glibc must believe that it has it (it aborts otherwise): it only reads
// cpu_id through it, which stays "not registered".
long sys_rseq(void*, uint32_t, int, uint32_t signature) {
  constexpr uint32_t kGlibcSignature = 0x53053053;
  return signature == kGlibcSignature ? 0 : -ENOSYS;
}

// Of the process; -1: none was set since it became green.
static constinit std::atomic<int> parent_death_signal{-1};

void carry_parent_death_signal() noexcept {
  const int signal = parent_death_signal.load();
  if (signal > 0) rt::raw_syscall(SYS_prctl, PR_SET_PDEATHSIG, signal);
}

long sys_prctl(Call& call) {
  GreenThread* thread = current_thread();
  switch (call.arguments[0]) {
    case PR_SET_NAME: {
      char name[sizeof thread->name] = {};
      for (size_t i = 0; i + 1 < sizeof name; ++i) {
        if (copy_in(&name[i], reinterpret_cast<const char*>(call.arguments[1]) + i) != 0) {
          return -EFAULT;
        }
        if (name[i] == '\0') break;
      }
      std::memcpy(thread->name, name, sizeof name);
      std::memcpy(thread->fiber->name, name, sizeof name);
      // The main thread's name is the process's, for ps and top.
      if (thread->tid == static_cast<int>(rt::raw_syscall(SYS_getpid))) return pass(call);
      return 0;
    }
    case PR_GET_NAME:
      return copy_out_bytes(reinterpret_cast<void*>(call.arguments[1]), thread->name,
                            sizeof thread->name);
    case PR_GET_TID_ADDRESS:
      return copy_out(reinterpret_cast<uint32_t**>(call.arguments[1]), thread->clear_child_tid);
    case PR_SET_TIMERSLACK:
      return set_timer_slack(static_cast<uint64_t>(call.arguments[1]));
    case PR_GET_TIMERSLACK:
      return timer_slack();
    case PR_SET_PDEATHSIG: {
      // Any kernel thread that has one sends it; the others must not keep an older one.
      const long result = pass(call);
      if (result == 0) {
        call_on_other_workers(SYS_prctl, {PR_SET_PDEATHSIG, 0});
        parent_death_signal.store(static_cast<int>(call.arguments[1]));
      }
      return result;
    }
    case PR_GET_PDEATHSIG: {
      const int signal = parent_death_signal.load();
      if (signal < 0) return pass(call);  // as before the process became green
      return copy_out(reinterpret_cast<void*>(call.arguments[1]), signal);
    }
    case PR_SET_SECCOMP:
      return prctl_seccomp(call);
    case 59:  // PR_SET_SYSCALL_USER_DISPATCH: ours
      return -EBUSY;
    default:
      return is_of_own_thread(call.arguments[0], call.arguments[1]) ? prctl_of_own_thread(call)
                                                                    : pass(call);
  }
}

}  // namespace tendril::kernel
