#include "runtime/platform/asymmetric_fence.hpp"

#include <linux/membarrier.h>

#include "runtime/platform/syscall.hpp"

namespace tendril::rt {
namespace {

bool register_process() noexcept {
  return raw_syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

}  // namespace

bool can_fence_all_threads() noexcept {
  static const bool possible = register_process();
  return possible;
}

void fence_all_threads() noexcept {
  // EPERM in a child of fork that lost the registration: register again.
  while (raw_syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0 &&
         register_process()) {
  }
}

}  // namespace tendril::rt
