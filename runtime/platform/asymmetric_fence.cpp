#include "runtime/platform/asymmetric_fence.hpp"

#include <linux/membarrier.h>

#include <atomic>

#include "runtime/platform/syscall.hpp"

namespace tendril::rt {
namespace {

bool register_process() noexcept {
  return raw_syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

}  // namespace

bool can_fence_all_threads() noexcept {
  // Asking twice does no harm: both get the same answer.
  static constinit std::atomic<int> possible{-1};
  if (possible.load(std::memory_order_relaxed) < 0) {
    possible.store(register_process() ? 1 : 0, std::memory_order_relaxed);
  }
  return possible.load(std::memory_order_relaxed) == 1;
}

void fence_all_threads() noexcept {
  // EPERM in a child of fork that lost the registration: register again.
  while (raw_syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0 &&
         register_process()) {
  }
}

}  // namespace tendril::rt
