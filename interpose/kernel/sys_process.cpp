// fork(2), vfork(2), clone(2) of processes, execve(2), exit_group(2), wait4(2), waitid(2)
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>

#include "interpose/kernel/activation.hpp"
#include "interpose/kernel/child_environment.hpp"
#include "interpose/kernel/descriptors.hpp"
#include "interpose/kernel/dispatch.hpp"
#include "interpose/kernel/failure_report.hpp"
#include "interpose/kernel/fork_locks.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/report.hpp"
#include "interpose/kernel/restart.hpp"
#include "interpose/kernel/robust_list.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "runtime/hub/fatal.hpp"
#include "runtime/hub/offload.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/memory/allocator.hpp"
#include "runtime/memory/pages.hpp"
#include "runtime/platform/forgotten_fs_base.hpp"
#include "runtime/platform/runtime_mode.hpp"
#include "runtime/platform/syscall.hpp"

extern "C" {
long tendril_clone_child(long number, const long* arguments, const gregset_t* child_registers,
                         void (*in_child)(const gregset_t*));
long tendril_on_scratch_stack(long (*function)(void* argument, void* frame), void* argument,
                              void* stack);
}

namespace tendril::kernel {
namespace {

constexpr uint64_t kEverything = ~uint64_t{0};

void set_kernel_mask(uint64_t mask) noexcept {
  if (mask != kEverything) mask &= ~signal_bit(SIGSYS);
  rt::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, kSetSize);
}

// The child of fork leaves through the trap's frame, dormant.
void become_dormant_child(ucontext_t* frame, bool clears_handlers) noexcept {
  GreenThread* thread = current_thread();
  const stack_t alternate = thread->alternate_stack;
  if (clears_handlers) signals().clear_handlers_after_fork();
  const uint64_t mask = deactivate_in_child();
  std::memcpy(&frame->uc_sigmask, &mask, sizeof mask);
  frame->uc_stack = alternate;
}

// A child with memory of its own and a stack of its own.
void on_new_stack(const gregset_t*) { set_kernel_mask(deactivate_in_child()); }
void on_new_stack_without_handlers(const gregset_t*) {
  signals().clear_handlers_after_fork();
  set_kernel_mask(deactivate_in_child());
}

// A plain vfork's child: no handler of ours may run in it, for it would post to the parent's
// threads.
void on_borrowed_stack(const gregset_t*) {
  const KernelAction plain{};
  for (int signal = 1; signal <= kLastSignal; ++signal) {
    if (signals().action(signal).handler != reinterpret_cast<void*>(SIG_IGN)) {
      rt::raw_syscall(SYS_rt_sigaction, signal, &plain, nullptr, kSetSize);
    }
  }
  carry_scheduling_over(current_thread()->scheduling);
  set_kernel_mask(current_thread()->blocked);
}

// A child of posix_spawn, which sets its dispositions itself, that borrows our memory while this
// worker waits for its exec or exit: everything it does is native (dispatch is off in it, and hooks
// see vfork_child_runs).
void on_borrowed_memory(const gregset_t*) {
  carry_scheduling_over(current_thread()->scheduling);
  set_kernel_mask(current_thread()->blocked);
}

struct VforkPlan {
  const Call* call;
  const gregset_t* registers;
  char* saved;  // a copy of our frames: the child runs on the same stack and overwrites them
  size_t room;  // for it
  uintptr_t program_sp;
};

// `frame` is the last of those frames. It returns to them: so they are saved from there on.
long vfork_on_scratch(void* argument, void* frame) {
  auto* plan = static_cast<VforkPlan*>(argument);
  VforkPlan kept = *plan;  // the plan itself lies among the live frames
  const size_t live_size = kept.program_sp - reinterpret_cast<uintptr_t>(frame);
  if (live_size > kept.room) rt::fatal("no room for the frames that a child of vfork overwrites");
  std::memcpy(kept.saved, frame, live_size);
  const long result = tendril_clone_child(kept.call->number, kept.call->arguments, kept.registers,
                                          on_borrowed_stack);
  std::memcpy(frame, kept.saved, live_size);
  return result;
}

// vfork without a stack: parent and child take turns on the same one.
long vfork_on_shared_stack(const Call& call, const gregset_t* registers) noexcept {
  // Enough for what runs here, signals being blocked; and with all that follows no more than the
  // allocator keeps: pages of its own would be mapped and unmapped by each vfork.
  constexpr size_t kScratchSize = 8 * 1024;
  constexpr size_t kBelow = 1024;  // of what lies below here until the stack is left
  const auto program_sp = static_cast<uintptr_t>((*registers)[REG_RSP]);
  VforkPlan plan{};
  const size_t room =
      (program_sp - reinterpret_cast<uintptr_t>(__builtin_frame_address(0)) + kBelow) & ~size_t{15};
  auto* memory = static_cast<char*>(
      rt::runtime_allocate(kScratchSize + room + sizeof(Call) + sizeof(gregset_t)));
  if (memory == nullptr) return -ENOMEM;
  // What the child reads after it has begun must not lie on the shared stack.
  auto* call_copy = reinterpret_cast<Call*>(memory + kScratchSize + room);
  auto* registers_copy = reinterpret_cast<gregset_t*>(call_copy + 1);
  std::memcpy(call_copy, &call, sizeof call);
  std::memcpy(registers_copy, registers, sizeof *registers);
  plan.call = call_copy;
  plan.registers = registers_copy;
  plan.saved = memory + kScratchSize;
  plan.room = room;
  plan.program_sp = program_sp;
  const long result = tendril_on_scratch_stack(vfork_on_scratch, &plan, memory + kScratchSize);
  rt::runtime_free(memory);
  return result;
}

}  // namespace

static long make_process(Call& call, uint64_t flags, void* stack) noexcept {
  const long* a = call.arguments;
  const bool shares_memory = (flags & CLONE_VM) != 0;
  const bool clears_handlers = (flags & CLONE_CLEAR_SIGHAND) != 0;
  if (!shares_memory && stack == nullptr) {
    const long result = rt::raw_syscall6(call.number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (result == 0) become_dormant_child(call.frame, clears_handlers);
    return result;
  }
  gregset_t registers;
  std::memcpy(&registers, &call.frame->uc_mcontext.gregs, sizeof registers);
  registers[REG_RAX] = 0;
  registers[REG_RCX] = registers[REG_RIP];
  if (stack != nullptr) registers[REG_RSP] = reinterpret_cast<greg_t>(stack);
  if (!shares_memory) {
    return tendril_clone_child(call.number, a, &registers,
                               clears_handlers ? on_new_stack_without_handlers : on_new_stack);
  }
  if ((flags & CLONE_VFORK) == 0) {
    Report()
        .text(
            "tendril: a process that shares memory with a green one and runs beside it "
            "(clone with CLONE_VM and without CLONE_VFORK) cannot be made")
        .send();
    return -EINVAL;
  }
  rt::Worker* worker = rt::current_worker_unchecked();
  worker->vfork_child_runs = true;
  const long result = stack != nullptr
                          ? tendril_clone_child(call.number, a, &registers, on_borrowed_memory)
                          : vfork_on_shared_stack(call, &registers);
  worker->vfork_child_runs = false;
  rt::enter_runtime_mode();
  return result;
}

long clone_process(Call& call, uint64_t flags, void* stack) {
  descriptors().passed_outside();
  const bool copies_memory = (flags & CLONE_VM) == 0;
  if (copies_memory) lock_for_fork();
  rt::tell_kernel_fs_base();
  // A signal that reaches the child before it has its own dispositions would find our handlers.
  set_kernel_mask(kEverything);
  const long result = make_process(call, flags, stack);
  // The child of fork goes on with the mask in its frame, and has reset the locks.
  if (is_active()) {
    if (copies_memory) unlock_after_fork();
    set_kernel_mask(signals().kernel_mask());
    rt::withdraw_fs_base();
  }
  return result;
}

long sys_fork(Call& call) { return clone_process(call, SIGCHLD, nullptr); }

long sys_vfork(Call& call) { return clone_process(call, CLONE_VM | CLONE_VFORK, nullptr); }

// The new program inherits mask and pending signals from the kernel, which has to know them first.
// Ignored dispositions it knows; the others end with exec.
static long exec(const Call& call, const ChildPlan* plan, int environment_index) noexcept {
  GreenThread* thread = current_thread();
  rt::Worker* worker = rt::current_worker_unchecked();
  worker->forget_rings();
  if (attention_needed()) return -kRestartAlways;
  long arguments[6];
  std::memcpy(arguments, call.arguments, sizeof arguments);
  const size_t bytes = plan != nullptr ? rt::round_up_to_page(plan->size) : 0;
  void* pages = bytes != 0 ? rt::map_pages(bytes) : nullptr;
  if (pages != nullptr) {
    char** list = compose_child_environment(*plan, pages);
    if (list != nullptr) arguments[environment_index] = reinterpret_cast<long>(list);
  }
  worker->hog_run.end();
  rt::tell_kernel_fs_base();
  set_kernel_mask(~uint64_t{0});
  signals().hand_pending_to_kernel(thread);
  state_of(worker)->has_program_mask = true;
  set_kernel_mask(thread->blocked);
  // A signal that comes before the exec is one for the old program: its handler runs first.
  const long result = worker->call_unless_rung(call.number, arguments);
  if (pages != nullptr) rt::unmap_pages(pages, bytes);
  state_of(worker)->has_program_mask = false;
  set_kernel_mask(
      signals().kernel_mask());  // it failed; what is pending comes back through our handlers
  rt::withdraw_fs_base();
  return result == -EINTR ? -kRestartAlways : result;
}

long sys_execve(Call& call) {
  const long* a = call.arguments;
  ChildPlan plan;
  const bool planned = plan_child(AT_FDCWD, reinterpret_cast<const char*>(a[0]), 0,
                                  reinterpret_cast<char* const*>(a[2]), &plan);
  return exec(call, planned ? &plan : nullptr, 2);
}

long sys_execveat(Call& call) {
  const long* a = call.arguments;
  ChildPlan plan;
  const bool planned =
      plan_child(static_cast<int>(a[0]), reinterpret_cast<const char*>(a[1]),
                 static_cast<int>(a[4]), reinterpret_cast<char* const*>(a[3]), &plan);
  return exec(call, planned ? &plan : nullptr, 3);
}

long sys_exit_group(int status) {
  if ((status & 0xff) != 0) report_seed_of_failure();
  leave_robust_mutexes_to_successor();
  report_statistics();
  for (;;) rt::raw_syscall(SYS_exit_group, status);
}

long sys_wait4(Call& call) {
  const long* a = call.arguments;
  const long now = rt::raw_syscall(SYS_wait4, a[0], a[1], a[2] | WNOHANG, a[3]);
  if (now != 0 || (a[2] & WNOHANG) != 0) return now;
  const long result = rt::offload(SYS_wait4, a[0], a[1], a[2], a[3], 0, 0);
  return result == -EINTR ? -kRestartSys : result;
}

// The kernel writes the program's siginfo itself: it does so on errors, too.
long sys_waitid(Call& call) {
  const long* a = call.arguments;  // which, id, info, options, usage
  siginfo_t probe;
  const auto at_once = [&](void* info, long options) {
    probe.si_pid = 0;
    return rt::raw_syscall(SYS_waitid, a[0], a[1], info, a[3] | options, a[4]);
  };
  if ((a[3] & WNOHANG) != 0) return at_once(reinterpret_cast<void*>(a[2]), 0);
  const long now = at_once(&probe, WNOHANG | WNOWAIT);
  if (now < 0) return at_once(reinterpret_cast<void*>(a[2]), WNOHANG);
  if (probe.si_pid != 0) {
    // Another thread may be faster: then there is nothing, and we wait.
    auto* info = a[2] != 0 ? reinterpret_cast<siginfo_t*>(a[2]) : &probe;
    const long result = at_once(info, WNOHANG);
    pid_t found = 0;
    if (result != 0 || copy_in(&found, &info->si_pid) != 0 || found != 0) return result;
  }
  const long result = rt::offload(SYS_waitid, a[0], a[1], a[2], a[3], a[4], 0);
  return result == -EINTR ? -kRestartSys : result;
}

}  // namespace tendril::kernel
