#include "interpose/kernel/robust_list.hpp"

#include <linux/futex.h>

#include "interpose/kernel/futex_table.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

constexpr int kMostEntries = 2048;  // the kernel's ROBUST_LIST_LIMIT: lists may be damaged

// Bit 0 of a link says that the futex is a priority-inheriting one.
uintptr_t without_flag(uintptr_t link) noexcept { return link & ~uintptr_t{1}; }

void release(uint32_t* word, uint32_t tid, bool pi, bool pending) noexcept {
  uint32_t value;
  if (tendril_user_load32(word, &value) != 0) return;
  // A lock that was being released when the thread died: others may wait, with no owner to wake.
  if (pending && !pi && value == 0) {
    futexes().wake(reinterpret_cast<uintptr_t>(word), FUTEX_BITSET_MATCH_ANY, 1);
    return;
  }
  while ((value & FUTEX_TID_MASK) == tid) {
    const uint32_t wanted = (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
    uint32_t seen;
    if (tendril_user_cas32(word, value, wanted, &seen) != 0) return;
    if (seen != value) {
      value = seen;
      continue;
    }
    if (pi) {
      futexes().inherit_pi(word);
    } else if ((value & FUTEX_WAITERS) != 0) {
      const auto address = reinterpret_cast<uintptr_t>(word);
      if (futexes().wake(address, FUTEX_BITSET_MATCH_ANY, 1) == 0) {
        rt::raw_syscall(SYS_futex, word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
      }
    }
    return;
  }
}

}  // namespace

void release_robust_list(GreenThread* thread) noexcept {
  robust_list_head head;
  if (thread->robust_list == nullptr || copy_in(&head, thread->robust_list) != 0) return;
  const auto end = reinterpret_cast<uintptr_t>(thread->robust_list);
  const auto tid = static_cast<uint32_t>(thread->tid);
  const auto word_of = [&](uintptr_t link) {
    return reinterpret_cast<uint32_t*>(without_flag(link) +
                                       static_cast<uintptr_t>(head.futex_offset));
  };
  const auto pending = reinterpret_cast<uintptr_t>(head.list_op_pending);
  auto link = reinterpret_cast<uintptr_t>(head.list.next);
  for (int count = 0; without_flag(link) != end && count < kMostEntries; ++count) {
    uintptr_t next;  // before the word is released: the mutex may be gone afterwards
    if (copy_in(&next, reinterpret_cast<const void*>(without_flag(link))) != 0) return;
    if (without_flag(link) != without_flag(pending)) {
      release(word_of(link), tid, (link & 1) != 0, false);
    }
    link = next;
  }
  if (without_flag(pending) != 0) release(word_of(pending), tid, (pending & 1) != 0, true);
  thread->robust_list = nullptr;
}

}  // namespace tendril::kernel
