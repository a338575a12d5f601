#include "interpose/kernel/aside.hpp"

#include <linux/futex.h>

#include <atomic>

#include "runtime/hub/bare_thread.hpp"
#include "runtime/platform/spin_lock.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

constexpr size_t kStackSize = 16 * 1024;

// One at a time: the thread's memory is made once.
struct Aside {
  rt::SpinLock lock;  // guards all below
  rt::BareThread thread;
  bool prepared = false;
  AsideCall* calls = nullptr;
  size_t count = 0;
};
constinit Aside aside;

void make_calls(void*) {
  for (size_t i = 0; i < aside.count; ++i) {
    AsideCall& call = aside.calls[i];
    const long* a = call.arguments;
    call.result = rt::raw_syscall6(call.number, a[0], a[1], a[2], a[3], a[4], a[5]);
  }
}

}  // namespace

bool call_aside(AsideCall* calls, size_t count) noexcept {
  rt::SpinGuard guard(aside.lock);
  if (!aside.prepared) {
    aside.prepared = rt::prepare_bare_thread(kStackSize, &aside.thread) != nullptr;
    if (!aside.prepared) return false;
  }
  aside.calls = calls;
  aside.count = count;
  if (rt::start_bare_thread(&aside.thread, make_calls, nullptr, ~0UL) < 0) return false;
  // The kernel clears the tid and wakes who waits on it, without the private flag.
  for (;;) {
    const int tid = std::atomic_ref(aside.thread.tid).load(std::memory_order_acquire);
    if (tid == 0) return true;
    rt::raw_syscall(SYS_futex, &aside.thread.tid, FUTEX_WAIT, tid, nullptr, nullptr, 0);
  }
}

void aside_reset_after_fork() noexcept {
  aside.lock.reset_after_fork();
  aside.thread.tid = 0;  // it does not exist here
}

}  // namespace tendril::kernel
