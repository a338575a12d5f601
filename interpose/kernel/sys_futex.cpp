// futex(2), futex_waitv(2), futex_wake(2), futex_wait(2), futex_requeue(2)
#include <linux/futex.h>

#include <atomic>
#include <cerrno>
#include <climits>

#include "interpose/kernel/futex_table.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/mappings.hpp"
#include "interpose/kernel/restart.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/time_arguments.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "runtime/hub/offload.hpp"
#include "runtime/hub/park.hpp"
#include "runtime/hub/shared_futex.hpp"
#include "runtime/memory/allocator.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

bool is_private(int operation) noexcept { return (operation & FUTEX_PRIVATE_FLAG) != 0; }

// As get_futex_key of the Linux kernel.
long check_word(const uint32_t* word) noexcept {
  constexpr uintptr_t kLastOfUserSpace = 0x7ffffffff000;
  if ((reinterpret_cast<uintptr_t>(word) & 3) != 0) return -EINVAL;
  return reinterpret_cast<uintptr_t>(word) <= kLastOfUserSpace ? 0 : -EFAULT;
}

// As long as it takes a command with a time limit to look at it.
long check_limit(const timespec* timeout) noexcept {
  timespec limit;
  if (timeout == nullptr) return 0;
  if (copy_in(&limit, timeout) != 0) return -EFAULT;
  return is_valid(limit) ? 0 : -EINVAL;
}

// Another process may be on the other side: the Linux kernel has to know who waits.
long wait_in_kernel(uint32_t* word, int operation, uint32_t value, const timespec* timeout,
                    uint32_t bitset, rt::Deadline deadline) noexcept {
  const long result = rt::wait_for_shared_futex(word, value, bitset, deadline);
  if (result != -ENOSYS) return result;
  return rt::offload(SYS_futex, reinterpret_cast<long>(word), operation, static_cast<long>(value),
                     reinterpret_cast<long>(timeout), 0, static_cast<long>(bitset));
}

long wait(uint32_t* word, int operation, uint32_t value, const timespec* timeout, uint32_t bitset,
          bool absolute) noexcept {
  if (bitset == 0) return -EINVAL;
  if (const long error = check_word(word); error != 0) return error;
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
  if ((operation & FUTEX_PRIVATE_FLAG) == 0 && !threads().is_tid_word(word, value) &&
      is_shared_mapping(word)) {
    const long result = wait_in_kernel(word, operation, value, timeout, bitset, deadline);
    return result == -EINTR && timeout == nullptr ? -kRestartSys : result;
  }
  const long result = futexes().wait(word, is_private(operation), value, bitset, deadline);
  return result == -EINTR && timeout == nullptr ? -kRestartSys : result;
}

// How many wait in the kernel on words of which some are private.
constinit std::atomic<uint32_t> mixed_waits{0};

long wake(uint32_t* word, int operation, int count, uint32_t bitset) noexcept {
  if (bitset == 0) return -EINVAL;
  if (const long error = check_word(word); error != 0) return error;
  long woken = futexes().wake(futex_key(word, is_private(operation)), bitset, count);
  if (woken < 0) return woken;
  const int flag = operation & FUTEX_PRIVATE_FLAG;
  if ((flag == 0 || mixed_waits.load(std::memory_order_acquire) != 0) && woken < count) {
    const long in_kernel =
        rt::raw_syscall(SYS_futex, word, FUTEX_WAKE_BITSET | flag, count - static_cast<int>(woken),
                        nullptr, nullptr, bitset);
    rt::collect_shared_futexes();
    if (in_kernel > 0) woken += in_kernel;
    if (in_kernel == -EFAULT && woken == 0) return in_kernel;
  }
  return woken;
}

// A lock that inherits priority and is shared with other processes. The Linux kernel would have to
// know who owns it, and does not know green threads: who waits for it looks again and again.
long poll_pi(uint32_t* word, int operation, uint32_t tid, rt::Deadline deadline) noexcept {
  rt::Nanoseconds pause = 50'000;
  for (;;) {
    const long result =
        futexes().lock_pi(word, is_private(operation), tid, /*try_only=*/true, rt::kForever);
    if (result != -EAGAIN) return result;
    const rt::Deadline next = rt::deadline_after(pause);
    if (rt::sleep_until(next < deadline ? next : deadline) != rt::WakeReason::kTimeout) {
      return -EINTR;
    }
    if (deadline <= next) return -ETIMEDOUT;
    if (pause < 1'000'000) pause *= 2;
  }
}

// All who wait on a word that other processes see wait in the kernel.
bool is_kernels(const uint32_t* word, int operation) noexcept {
  return !is_private(operation) && is_shared_mapping(word);
}

// An absolute time on one of the two clocks.
long read_limit(const timespec* timeout, int clock, rt::Deadline* deadline) noexcept {
  *deadline = rt::kForever;
  if (timeout == nullptr) return 0;
  if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC) return -EINVAL;
  timespec limit;
  if (copy_in(&limit, timeout) != 0) return -EFAULT;
  if (!is_valid(limit)) return -EINVAL;
  *deadline = deadline_of_absolute(limit, clock);
  return 0;
}

long lock_pi(uint32_t* word, int operation, const timespec* timeout, bool try_only,
             clockid_t clock) noexcept {
  rt::Deadline deadline;
  if (const long error = read_limit(try_only ? nullptr : timeout, clock, &deadline); error != 0) {
    return error;
  }
  if (const long error = check_word(word); error != 0) return error;
  const auto tid = static_cast<uint32_t>(current_thread()->tid);
  const long result = is_kernels(word, operation) && !try_only
                          ? poll_pi(word, operation, tid, deadline)
                          : futexes().lock_pi(word, is_private(operation), tid, try_only, deadline);
  return result == -EINTR ? -kRestartAlways : result;
}

// A word that is not private must lie in memory that is there: the kernel asks who else has it.
long check_present(const uint32_t* word, int operation) noexcept {
  const long error = check_word(word);
  uint32_t value;
  return error != 0 || is_private(operation) ? error : tendril_user_load32(word, &value);
}

long check_words(const uint32_t* word, const uint32_t* word2, int operation) noexcept {
  const long error = check_present(word, operation);
  return error != 0 ? error : check_present(word2, operation);
}

// Waits to be moved over to a lock, and for that. (Who shares both with other processes is woken by
// whoever would move it, and queues for the lock itself.)
long wait_requeue_pi(uint32_t* word, int operation, uint32_t value, const timespec* timeout,
                     uint32_t* lock) noexcept {
  if (word == lock) return -EINVAL;
  const bool on_realtime = (operation & FUTEX_CLOCK_REALTIME) != 0;
  rt::Deadline deadline;
  long result = read_limit(timeout, on_realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC, &deadline);
  if (result == 0) result = check_word(lock);
  if (result == 0) result = check_word(word);
  if (result != 0) return result;
  const auto tid = static_cast<uint32_t>(current_thread()->tid);
  if (!is_kernels(word, operation)) {
    result = futexes().wait_requeue_pi(word, is_private(operation), value, lock, tid, deadline);
    return result == -EINTR ? -kRestartAlways : result;
  }
  const long plain = FUTEX_WAIT_BITSET | (on_realtime ? FUTEX_CLOCK_REALTIME : 0);
  result = wait_in_kernel(word, plain, value, timeout, FUTEX_BITSET_MATCH_ANY, deadline);
  if (result != 0) return result == -EINTR ? -kRestartAlways : result;
  result = poll_pi(lock, operation, tid, deadline);
  return result == -EINTR ? -EAGAIN : result;
}

long requeue_pi(uint32_t* word, int operation, int count, int move, uint32_t* lock,
                uint32_t expected) noexcept {
  if (count != 1 || move < 0 || word == lock) return -EINVAL;
  if (const long error = check_words(word, lock, operation); error != 0) return error;
  if (!is_kernels(word, operation)) {
    return futexes().requeue_pi(word, lock, is_private(operation), expected, move);
  }
  const int most = move == INT_MAX ? INT_MAX : move + 1;
  return rt::raw_syscall(SYS_futex, word, FUTEX_CMP_REQUEUE, most, 0, lock, expected);
}

}  // namespace

long sys_futex(uint32_t* word, int operation, uint32_t value, const timespec* timeout,
               uint32_t* word2, uint32_t value3) {
  const int command = operation & FUTEX_CMD_MASK;
  const bool has_limit = command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET ||
                         command == FUTEX_LOCK_PI || command == FUTEX_LOCK_PI2 ||
                         command == FUTEX_WAIT_REQUEUE_PI;
  if (has_limit) {
    if (const long error = check_limit(timeout); error != 0) return error;
  }
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
      // As the kernel's: it counts after it has woken one.
      return wake(word, operation, count < 1 ? 1 : count, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAKE_BITSET:
      return wake(word, operation, count < 1 ? 1 : count, value3);
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
      if (count < 0 || count2 < 0) return -EINVAL;
      if (const long error = check_words(word, word2, operation); error != 0) return error;
      if (is_kernels(word, operation)) {
        return rt::raw_syscall(SYS_futex, word, operation, value, timeout, word2, value3);
      }
      return futexes().requeue(word, word2, is_private(operation), count, count2,
                               command == FUTEX_CMP_REQUEUE ? &value3 : nullptr, true);
    case FUTEX_WAKE_OP:
      if (const long error = check_words(word, word2, operation); error != 0) return error;
      if (is_kernels(word, operation) || is_kernels(word2, operation)) {
        return rt::raw_syscall(SYS_futex, word, operation, value, timeout, word2, value3);
      }
      // As the kernel's: each of both counts after it has woken one.
      return futexes().wake_op(word, word2, is_private(operation), count < 1 ? 1 : count,
                               count2 < 1 ? 1 : count2, value3);
    case FUTEX_LOCK_PI:
      return lock_pi(word, operation, timeout, false, CLOCK_REALTIME);
    case FUTEX_LOCK_PI2:
      return lock_pi(word, operation, timeout, false,
                     (operation & FUTEX_CLOCK_REALTIME) != 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC);
    case FUTEX_TRYLOCK_PI:
      return lock_pi(word, operation, nullptr, true, CLOCK_REALTIME);
    case FUTEX_UNLOCK_PI:
      if (const long error = check_word(word); error != 0) return error;
      return futexes().unlock_pi(word, is_private(operation),
                                 static_cast<uint32_t>(current_thread()->tid));
    case FUTEX_WAIT_REQUEUE_PI:
      return wait_requeue_pi(word, operation, value, timeout, word2);
    case FUTEX_CMP_REQUEUE_PI:
      return requeue_pi(word, operation, count, count2, word2, value3);
    default:
      return -ENOSYS;
  }
}

namespace {

constexpr uint32_t kFutexValidFlags = 0x8f;  // size, NUMA, MPOL, private
constexpr uint32_t kFutexSize32 = 2;

// 0 or the error of flags; NUMA words are not known here, as to kernels before 6.16.
long check_flags(uint64_t flags) noexcept {
  if ((flags & ~uint64_t{kFutexValidFlags}) != 0) return -EINVAL;
  return (flags & ~uint64_t{FUTEX_PRIVATE_FLAG}) == kFutexSize32 ? 0 : -EINVAL;
}

int operation_of(uint64_t flags) noexcept { return static_cast<int>(flags & FUTEX_PRIVATE_FLAG); }

long read_alternatives(const futex_waitv* list, size_t count, FutexAlternative* words,
                       int* operations, bool check_words) noexcept {
  for (size_t i = 0; i < count; ++i) {
    futex_waitv entry;
    if (copy_in(&entry, list + i) != 0) return -EFAULT;
    if (entry.__reserved != 0 || entry.val > UINT32_MAX) return -EINVAL;
    if (const long error = check_flags(entry.flags); error != 0) return error;
    operations[i] = operation_of(entry.flags);
    words[i] = {reinterpret_cast<uint32_t*>(entry.uaddr), static_cast<uint32_t>(entry.val),
                is_private(operations[i])};
  }
  for (size_t i = 0; check_words && i < count; ++i) {
    if (const long error = check_word(words[i].word); error != 0) return error;
  }
  return 0;
}

struct WaitAnyPlaces {
  FutexAlternative words[FUTEX_WAITV_MAX];
  int operations[FUTEX_WAITV_MAX];
  FutexWaiter waiters[FUTEX_WAITV_MAX];
};

long wait_any(const Call& call, WaitAnyPlaces& places, size_t count) noexcept {
  const long* a = call.arguments;
  rt::Deadline deadline;
  long error =
      read_limit(reinterpret_cast<const timespec*>(a[3]), static_cast<int>(a[4]), &deadline);
  if (error == 0) {
    error = read_alternatives(reinterpret_cast<const futex_waitv*>(a[0]), count, places.words,
                              places.operations, true);
  }
  if (error != 0) return error;
  size_t native = 0;
  for (size_t i = 0; i < count; ++i) {
    if (is_kernels(places.words[i].word, places.operations[i])) ++native;
  }
  if (native == 0) return futexes().wait_any(places.words, count, places.waiters, deadline);
  const uint32_t mixed = native != count ? 1 : 0;
  mixed_waits.fetch_add(mixed);
  const long result = rt::offload(call.number, a[0], a[1], a[2], a[3], a[4], 0);
  mixed_waits.fetch_sub(mixed);
  return result;
}

}  // namespace

long sys_futex_waitv(Call& call) {
  const long* a = call.arguments;  // list, count, flags, limit, clock
  const auto count = static_cast<uint32_t>(a[1]);
  if (static_cast<uint32_t>(a[2]) != 0 || count == 0 || count > FUTEX_WAITV_MAX || a[0] == 0) {
    return -EINVAL;
  }
  void* memory = rt::runtime_allocate(sizeof(WaitAnyPlaces));
  if (memory == nullptr) return -ENOMEM;
  const long result = wait_any(call, *static_cast<WaitAnyPlaces*>(memory), count);
  rt::runtime_free(memory);
  return result == -EINTR ? -kRestartSys : result;
}

long sys_futex_wake(uint32_t* word, uint64_t bitset, int count, uint32_t flags) {
  if (const long error = check_flags(flags); error != 0) return error;
  if (bitset > UINT32_MAX) return -EINVAL;
  if (bitset == 0) return -EINVAL;
  if (const long error = check_present(word, operation_of(flags)); error != 0) return error;
  if (count == 0) return 0;
  if (count < 0) count = 1;  // the Linux kernel looks at it after it has woken somebody
  return wake(word, operation_of(flags), count, static_cast<uint32_t>(bitset));
}

long sys_futex_wait(uint32_t* word, uint64_t value, uint64_t bitset, uint32_t flags,
                    const timespec* timeout, int clock) {
  if (const long error = check_flags(flags); error != 0) return error;
  if (value > UINT32_MAX || bitset > UINT32_MAX) return -EINVAL;
  rt::Deadline deadline;
  if (const long error = read_limit(timeout, clock, &deadline); error != 0) return error;
  if (bitset == 0) return -EINVAL;
  if (const long error = check_word(word); error != 0) return error;
  const int on_clock = clock == CLOCK_REALTIME && timeout != nullptr ? FUTEX_CLOCK_REALTIME : 0;
  const long result =
      wait(word, FUTEX_WAIT_BITSET | operation_of(flags) | on_clock, static_cast<uint32_t>(value),
           timeout, static_cast<uint32_t>(bitset), true);
  return result == -EINTR ? -kRestartSys : result;
}

long sys_futex_requeue(const futex_waitv* list, uint32_t flags, int count, int move) {
  if (flags != 0 || list == nullptr) return -EINVAL;
  FutexAlternative words[2];
  int operations[2];
  if (const long error = read_alternatives(list, 2, words, operations, false); error != 0) {
    return error;
  }
  if (operations[0] != operations[1] || count < 0 || move < 0) return -EINVAL;
  for (const FutexAlternative& each : words) {
    if (const long error = check_present(each.word, operations[0]); error != 0) return error;
  }
  if (is_kernels(words[0].word, operations[0])) {
    return rt::raw_syscall(SYS_futex, words[0].word, FUTEX_CMP_REQUEUE, count, move, words[1].word,
                           words[0].expected);
  }
  return futexes().requeue(words[0].word, words[1].word, words[0].is_private, count, move,
                           &words[0].expected, true);
}

}  // namespace tendril::kernel
