#include "runtime/hub/bare_thread.hpp"

#include <sched.h>
#include <signal.h>

#include <atomic>

#include "runtime/memory/pages.hpp"
#include "runtime/platform/syscall.hpp"
#include "runtime/platform/thread_registers.hpp"

extern "C" long tendril_clone_thread(long flags, void* stack_top, int* tid, void* tls,
                                     void (*function)(void*), void* argument);

namespace tendril::rt {
namespace {

// Below the thread pointer lie the thread-locals of the libraries that were there at start-up:
// ours, and the C++ runtime's. They read as "never written".
constexpr size_t kLeastTls = 64 * 1024;

void* make_tls() noexcept {
  const auto distance =
      static_cast<size_t>(get_fs_base() - reinterpret_cast<uintptr_t>(&on_worker));
  const size_t below = round_up_to_page(distance + 64 > kLeastTls ? distance + 64 : kLeastTls);
  auto* block = static_cast<char*>(map_pages(below + kPageSize));
  if (block == nullptr) return nullptr;
  char* control_block = block + below;
  *reinterpret_cast<void**>(control_block) = control_block;
  uintptr_t guard;
  asm("movq %%fs:0x28, %0" : "=r"(guard));
  *reinterpret_cast<uintptr_t*>(control_block + 0x28) = guard;
  return control_block;
}

}  // namespace

bool BareThread::has_ended() const noexcept {
  return std::atomic_ref(const_cast<int&>(tid)).load(std::memory_order_acquire) == 0;
}

void* prepare_bare_thread(size_t stack_size, BareThread* thread) noexcept {
  auto* memory = static_cast<char*>(map_pages(stack_size));
  if (memory == nullptr) return nullptr;
  void* tls = make_tls();
  if (tls == nullptr) {
    unmap_pages(memory, stack_size);
    return nullptr;
  }
  thread->stack_top = memory + stack_size;
  thread->tls = tls;
  return memory;
}

namespace {

long start(long flags, BareThread* thread, void (*function)(void*), void* argument,
           uint64_t blocked_signals) noexcept {
  // The mask is inherited, and nothing may arrive before the thread's registers are its own: it
  // would find its parent's worker. The function opens the mask, see below.
  struct Start {
    void (*function)(void*);
    void* argument;
    uint64_t mask;
  };
  auto* start = reinterpret_cast<Start*>(static_cast<char*>(thread->stack_top) - sizeof(Start));
  *start = {function, argument, blocked_signals};
  const auto main = [](void* given) {
    set_gs_base(0);
    const Start start = *static_cast<Start*>(given);
    raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &start.mask, nullptr, sizeof start.mask);
    start.function(start.argument);
    end_bare_thread();
  };
  const uint64_t everything = ~uint64_t{0};
  uint64_t old_mask = 0;
  raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &everything, &old_mask, sizeof old_mask);
  void* top = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(start) & ~uintptr_t{15});
  const long tid = tendril_clone_thread(flags, top, &thread->tid, thread->tls, main, start);
  raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old_mask, nullptr, sizeof old_mask);
  if (tid < 0) thread->tid = 0;
  return tid;
}

}  // namespace

long start_bare_thread(BareThread* thread, void (*function)(void*), void* argument,
                       uint64_t blocked_signals) noexcept {
  constexpr long kFlags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                          CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
  return start(kFlags, thread, function, argument, blocked_signals);
}

long start_bare_process(BareThread* thread, void (*function)(void*), void* argument) noexcept {
  constexpr long kFlags = CLONE_VM | CLONE_SETTLS | CLONE_PARENT_SETTID;
  return start(kFlags, thread, function, argument, ~uint64_t{0});
}

void end_bare_thread() noexcept {
  for (;;) raw_syscall(SYS_exit, 0);
}

}  // namespace tendril::rt
