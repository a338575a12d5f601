#include "runtime/hub/process.hpp"

#include <sys/types.h>
#include <unistd.h>

#include <cstring>
#include <new>

#include "runtime/hub/fatal.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/memory/allocator.hpp"
#include "runtime/platform/process_wide.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::rt {

Process& process() noexcept { return ProcessWide<Process>::get(); }

void Process::add_fiber(Fiber* fiber) noexcept {
  Worker* worker = fiber->worker;
  if (worker->group == nullptr) {
    const RuntimeSectionOnWorker section;
    worker->fibers.add(fiber, worker);
  } else {
    SpinGuard guard(lock_);
    grouped_.add(fiber);
  }
}

void Process::remove_fiber(Fiber* fiber) noexcept {
  Worker* worker = fiber->worker;
  if (worker->group == nullptr) {
    const RuntimeSectionOnWorker section;
    worker->fibers.remove(fiber, worker);
  } else {
    SpinGuard guard(lock_);
    grouped_.remove(fiber);
  }
}

size_t Process::live_fibers() const noexcept {
  size_t sum = grouped_.live();
  for_each_alone([&sum](const FibersAlone& fibers) { sum += fibers.live(); });
  return sum;
}

void Process::add_alone(FibersAlone* fibers) noexcept {
  fibers->older = newest_.load(std::memory_order_relaxed);
  while (!newest_.compare_exchange_weak(fibers->older, fibers, std::memory_order_release,
                                        std::memory_order_relaxed)) {
  }
}

void Process::reset_after_fork() noexcept {
  lock_.reset_after_fork();
  for_each_alone([](FibersAlone& fibers) { reset_biased_lock_after_fork(fibers.lock); });
  if (hooks.on_forgotten_after_fork != nullptr) for_each_fiber(hooks.on_forgotten_after_fork);
  grouped_.reset();
  for_each_alone([](FibersAlone& fibers) { fibers.forget_after_fork(); });
}

void fatal(const char* message) noexcept {
  char line[256];
  size_t length = 0;
  const auto append = [&](const char* text) {
    while (*text != '\0' && length < sizeof(line) - 1) line[length++] = *text++;
  };
  append("tendril: fatal: ");
  append(message);
  if (Worker* worker = current_worker(); worker != nullptr && worker->current != nullptr) {
    append(worker->current->name[0] != '\0' ? " (fiber " : " (in a fiber");
    append(worker->current->name);
    append(")");
  }
  append("\n");
  raw_syscall(SYS_write, 2, line, length);
  // Straight to the kernel: the program's handlers must not see our faults.
  struct {
    void* handler;
    unsigned long flags;
    void* restorer;
    unsigned long mask;
  } default_action = {nullptr, 0, nullptr, 0};
  constexpr int kSigAbrt = 6;
  raw_syscall(SYS_rt_sigaction, kSigAbrt, &default_action, nullptr, 8);
  unsigned long none = 0;
  raw_syscall(SYS_rt_sigprocmask, 2, &none, nullptr, 8);
  raw_syscall(SYS_tgkill, raw_syscall(SYS_getpid), raw_syscall(SYS_gettid), kSigAbrt);
  for (;;) raw_syscall(SYS_exit_group, 134);
}

}  // namespace tendril::rt
