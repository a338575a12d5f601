#include "interpose/kernel/robust_list.hpp"

#include <linux/futex.h>
#include <poll.h>

#include <atomic>

#include "interpose/kernel/futex_table.hpp"
#include "interpose/kernel/mappings.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "runtime/hub/bare_thread.hpp"
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
    futexes().wake(futex_key(word, /*is_private=*/false), FUTEX_BITSET_MATCH_ANY, 1);
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
      const uintptr_t key = futex_key(word, /*is_private=*/false);
      if (futexes().wake(key, FUTEX_BITSET_MATCH_ANY, 1) == 0) {
        rt::raw_syscall(SYS_futex, word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
      }
    }
    return;
  }
}

// Calls visit(word, pi, pending) for the mutexes of a thread's list.
template <typename Visit>
void for_each_robust(GreenThread* thread, Visit&& visit) noexcept {
  robust_list_head head;
  if (thread->robust_list == nullptr || copy_in(&head, thread->robust_list) != 0) return;
  const auto end = reinterpret_cast<uintptr_t>(thread->robust_list);
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
      visit(word_of(link), (link & 1) != 0, false);
    }
    link = next;
  }
  if (without_flag(pending) != 0) visit(word_of(pending), (pending & 1) != 0, true);
}

// As release, when no thread of this process is left: those who wait are in the kernel.
void release_for_others(uint32_t* word, uint32_t tid, bool pending) noexcept {
  uint32_t value;
  if (tendril_user_load32(word, &value) != 0) return;
  bool wakes = pending && value == 0;
  while ((value & FUTEX_TID_MASK) == tid) {
    uint32_t seen;
    if (tendril_user_cas32(word, value, (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &seen) != 0) {
      return;
    }
    if (seen == value) {
      wakes = (value & FUTEX_WAITERS) != 0;
      break;
    }
    value = seen;
  }
  if (wakes) rt::raw_syscall(SYS_futex, word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

struct Succession {
  int process = -1;  // a pidfd of the one that ends
  std::atomic<uint32_t> ready{0};
};

void succeed(void* argument) {
  auto* succession = static_cast<Succession*>(argument);
  // Nobody must find descriptors of the process open once it has ended.
  const int kept = succession->process;
  if (kept > 0) rt::raw_syscall(SYS_close_range, 0, kept - 1, 0);
  rt::raw_syscall(SYS_close_range, kept + 1, ~0U, 0);
  rt::raw_syscall(SYS_setsid);  // no signal of the terminal
  succession->ready.store(1, std::memory_order_release);
  rt::raw_syscall(SYS_futex, &succession->ready, FUTEX_WAKE, 1, nullptr, nullptr, 0);
  pollfd ended{kept, POLLIN, 0};
  while (rt::raw_syscall(SYS_poll, &ended, 1, -1) != 1) {
  }
  for (GreenThread* t = threads().first(); t != nullptr; t = threads().next(t)) {
    for_each_robust(t, [&](uint32_t* word, bool, bool pending) {
      release_for_others(word, static_cast<uint32_t>(t->tid), pending);
    });
  }
  for (;;) rt::raw_syscall(SYS_exit_group, 0);
}

}  // namespace

void release_robust_list(GreenThread* thread) noexcept {
  for_each_robust(thread, [&](uint32_t* word, bool pi, bool pending) {
    release(word, static_cast<uint32_t>(thread->tid), pi, pending);
  });
  thread->robust_list = nullptr;
}

void leave_robust_mutexes_to_successor() noexcept {
  bool others_see = false;
  threads().for_each([&](GreenThread* thread) {
    for_each_robust(thread, [&](uint32_t* word, bool, bool) {
      others_see = others_see || is_shared_mapping(word);
    });
  });
  static constinit std::atomic<bool> begun{false};
  if (!others_see || begun.exchange(true)) return;
  constexpr size_t kStackSize = 16 * 1024;
  static Succession succession;
  static rt::BareThread thread;
  succession.process =
      static_cast<int>(rt::raw_syscall(SYS_pidfd_open, rt::raw_syscall(SYS_getpid), 0));
  if (succession.process < 0 || rt::prepare_bare_thread(kStackSize, &thread) == nullptr ||
      rt::start_bare_process(&thread, succeed, &succession) < 0) {
    return;
  }
  while (succession.ready.load(std::memory_order_acquire) == 0) {
    rt::raw_syscall(SYS_futex, &succession.ready, FUTEX_WAIT, 0, nullptr, nullptr, 0);
  }
}

}  // namespace tendril::kernel
