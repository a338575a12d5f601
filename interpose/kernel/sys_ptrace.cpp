// ptrace(2)
//
// To the Linux kernel the tracer is a kernel thread: the one that has attached, or that made the
// child which asks to be traced, and it takes requests from no other. A green thread that attaches
// gets one of its own, which ends with it, and so does the tracing. A child that asks is traced by
// the worker that happened to run its parent: requests are made there, after another thread's vfork
// if that is what it waits for. The last thread of a process
// goes to the first worker instead: who traces it waits for the process.
#include <sys/ptrace.h>

#include <cerrno>
#include <cstring>

#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/proc_files.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

bool is_own_thread(int tid) noexcept {
  rt::SpinGuard guard(threads().lock);
  return threads().find(tid) != nullptr;
}

// By what /proc says of the process that the request is for. Where it says nothing, perhaps.
bool may_be_tracer(const Call& call, const rt::Worker& worker) noexcept {
  char path[64];
  stpcpy(stpcpy(path, ProcPath("/proc/", static_cast<int>(call.arguments[1])).text()), "/status");
  const long tracer = number_in_file(path, "\nTracerPid:\t");
  return tracer < 0 || tracer == worker.os_tid;
}

bool exists(int pid) noexcept { return pid > 0 && rt::raw_syscall(SYS_kill, pid, 0) != -ESRCH; }

}  // namespace

long sys_ptrace(Call& call) {
  const long request = call.arguments[0];
  const auto pid = static_cast<int>(call.arguments[1]);
  const bool asks = request == PTRACE_TRACEME;
  const bool attaches = request == PTRACE_ATTACH || request == PTRACE_SEIZE;
  if (!asks && is_own_thread(pid)) return attaches ? -EPERM : -ESRCH;
  if (asks || attaches) {
    if (attaches && !exists(pid)) return pass(call);
    if (is_last_thread()) return do_on_only_kernel_thread(call);
    return bind_thread() ? pass(call) : -EAGAIN;
  }
  const long result = pass(call);
  if (result != -ESRCH || !exists(pid)) return result;
  // Which of them is the tracer, if any is, only the Linux kernel knows.
  return ask_other_workers(call, -ESRCH, may_be_tracer);
}

}  // namespace tendril::kernel
