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
  const auto add_one = [](auto& counter) {  // written under the lock only, read without
    const auto value = counter.load(std::memory_order_relaxed) + 1;
    counter.store(value, std::memory_order_relaxed);
    return value;
  };
  SpinGuard guard(lock_);
  add_one(made_);
  if (const size_t live = add_one(live_); live > peak_.load(std::memory_order_relaxed)) {
    peak_.store(live, std::memory_order_relaxed);
  }
  fibers_.push_back(fiber);
}

void Process::remove_fiber(Fiber* fiber) noexcept {
  SpinGuard guard(lock_);
  live_.store(live_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
  fibers_.remove(fiber);
}

void Process::reset_after_fork() noexcept {
  lock_.reset_after_fork();
  if (hooks.on_forgotten_after_fork != nullptr) for_each_fiber(hooks.on_forgotten_after_fork);
  fibers_.reset();
  live_ = 0;
  peak_ = 0;
  made_ = 0;
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
