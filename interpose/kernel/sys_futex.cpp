// futex(2)
#include <linux/futex.h>

#include <cerrno>

#include "interpose/kernel/futex_table.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/mappings.hpp"
#include "interpose/kernel/restart.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/time_arguments.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "runtime/hub/offload.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

bool is_user_address(const uint32_t* word) noexcept {
  constexpr uintptr_t kEndOfUserSpace = 0x7ffffffff000;
  return reinterpret_cast<uintptr_t>(word) < kEndOfUserSpace;
}

long wait(uint32_t* word, int operation, uint32_t value, const timespec* timeout, uint32_t bitset,
          bool absolute) noexcept {
  if (bitset == 0) return -EINVAL;
  rt::Deadline deadline = rt::kForever;
  if (timeout != nullptr) {
    timespec limit;
    if (copy_in(&limit, timeout) != 0) return -EFAULT;
    if (!is_valid(limit)) return -EINVAL;
    deadline = absolute ? deadline_of_absolute(limit, (operation & FUTEX_CLOCK_REALTIME) != 0
                                                          ? CLOCK_REALTIME
                                                          : CLOCK_MONOTONIC)
                        : rt::deadline_after(rt::to_nanoseconds(limit));
  }
  if ((operation & FUTEX_PRIVATE_FLAG) == 0 && is_shared_mapping(word)) {
    // Another process may be on the other side: wait in the kernel.
    const long result =
        rt::offload(SYS_futex, reinterpret_cast<long>(word), operation, static_cast<long>(value),
                    reinterpret_cast<long>(timeout), 0, static_cast<long>(bitset));
    return result == -EINTR && timeout == nullptr ? -kRestartSys : result;
  }
  const long result = futexes().wait(word, value, bitset, deadline);
  return result == -EINTR && timeout == nullptr ? -kRestartSys : result;
}

long wake(uint32_t* word, int operation, int count, uint32_t bitset) noexcept {
  if (bitset == 0) return -EINVAL;
  long woken = futexes().wake(reinterpret_cast<uintptr_t>(word), bitset, count);
  if ((operation & FUTEX_PRIVATE_FLAG) == 0 && woken < count) {
    const long in_kernel =
        rt::raw_syscall(SYS_futex, word, FUTEX_WAKE_BITSET, count - static_cast<int>(woken),
                        nullptr, nullptr, bitset);
    if (in_kernel > 0) woken += in_kernel;
    if (in_kernel == -EFAULT && woken == 0) return in_kernel;
  }
  return woken;
}

long lock_pi(uint32_t* word, const timespec* timeout, bool try_only, clockid_t clock) noexcept {
  rt::Deadline deadline = rt::kForever;
  if (timeout != nullptr && !try_only) {
    timespec limit;
    if (copy_in(&limit, timeout) != 0) return -EFAULT;
    if (!is_valid(limit)) return -EINVAL;
    deadline = deadline_of_absolute(limit, clock);
  }
  const long result =
      futexes().lock_pi(word, static_cast<uint32_t>(current_thread()->tid), try_only, deadline);
  return result == -EINTR ? -kRestartAlways : result;
}

}  // namespace

long sys_futex(uint32_t* word, int operation, uint32_t value, const timespec* timeout,
               uint32_t* word2, uint32_t value3) {
  if ((reinterpret_cast<uintptr_t>(word) & 3) != 0) return -EINVAL;
  if (!is_user_address(word)) return -EFAULT;
  const int command = operation & FUTEX_CMD_MASK;
  if ((operation & FUTEX_CLOCK_REALTIME) != 0 && command != FUTEX_WAIT_BITSET &&
      command != FUTEX_WAIT_REQUEUE_PI && command != FUTEX_LOCK_PI2) {
    return -ENOSYS;
  }
  const auto count = static_cast<int>(value);
  const auto count2 = static_cast<int>(reinterpret_cast<intptr_t>(timeout));
  switch (command) {
    case FUTEX_WAIT:
      return wait(word, operation, value, timeout, FUTEX_BITSET_MATCH_ANY, false);
    case FUTEX_WAIT_BITSET:
      return wait(word, operation, value, timeout, value3, true);
    case FUTEX_WAKE:
      return wake(word, operation, count, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAKE_BITSET:
      return wake(word, operation, count, value3);
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
      if (count < 0 || count2 < 0 || (reinterpret_cast<uintptr_t>(word2) & 3) != 0) return -EINVAL;
      if (!is_user_address(word2)) return -EFAULT;
      return futexes().requeue(word, word2, count, count2,
                               command == FUTEX_CMP_REQUEUE ? &value3 : nullptr, true);
    case FUTEX_WAKE_OP:
      if ((reinterpret_cast<uintptr_t>(word2) & 3) != 0) return -EINVAL;
      return futexes().wake_op(word, word2, count, count2, value3);
    case FUTEX_LOCK_PI:
      return lock_pi(word, timeout, false, CLOCK_REALTIME);
    case FUTEX_LOCK_PI2:
      return lock_pi(word, timeout, false,
                     (operation & FUTEX_CLOCK_REALTIME) != 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC);
    case FUTEX_TRYLOCK_PI:
      return lock_pi(word, nullptr, true, CLOCK_REALTIME);
    case FUTEX_UNLOCK_PI:
      return futexes().unlock_pi(word, static_cast<uint32_t>(current_thread()->tid));
    default:
      return -ENOSYS;
  }
}

}  // namespace tendril::kernel
