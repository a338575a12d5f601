#include "interpose/kernel/thread_limit.hpp"

#include <linux/capability.h>
#include <sys/resource.h>

#include <atomic>

#include "interpose/kernel/dispatch.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

constinit rlim_t inherited = RLIM_INFINITY;
constinit std::atomic<rlim_t> own{RLIM_INFINITY};  // what the program has set, if it has

rlim_t current() noexcept {
  rlimit limit{RLIM_INFINITY, RLIM_INFINITY};
  rt::raw_syscall(SYS_prlimit64, 0, RLIMIT_NPROC, nullptr, &limit);
  return limit.rlim_cur;
}

bool is_exempt() noexcept {
  if (rt::raw_syscall(SYS_getuid) == 0) return true;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  rt::raw_syscall(SYS_capget, &header, data);
  constexpr uint32_t kExempting = 1U << CAP_SYS_RESOURCE | 1U << CAP_SYS_ADMIN;
  return (data[0].effective & kExempting) != 0;
}

}  // namespace

void note_inherited_thread_limit() noexcept { inherited = current(); }

void note_thread_limit() noexcept {
  const rlim_t now = current();
  own.store(now != inherited ? now : RLIM_INFINITY, std::memory_order_relaxed);
}

bool thread_limit_allows_another() noexcept {
  const rlim_t limit = own.load(std::memory_order_relaxed);
  return threads().count() < limit || is_exempt();
}

// Set while there is one thread.
static constinit std::atomic<bool> forbidden{false};

void forbid_threads(bool value) noexcept { forbidden.store(value, std::memory_order_relaxed); }
bool threads_are_forbidden() noexcept { return forbidden.load(std::memory_order_relaxed); }

long sys_prlimit64(Call& call) {
  const long result = pass(call);
  if (result == 0 && call.arguments[1] == RLIMIT_NPROC && call.arguments[2] != 0) {
    note_thread_limit();
  }
  return result;
}

long sys_setrlimit(Call& call) {
  const long result = pass(call);
  if (result == 0 && call.arguments[0] == RLIMIT_NPROC) note_thread_limit();
  return result;
}

}  // namespace tendril::kernel
