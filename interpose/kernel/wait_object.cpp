#include "interpose/kernel/wait_object.hpp"

#include <linux/futex.h>

#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/user_memory.hpp"

namespace tendril::kernel {
namespace {

using Kind = WaitObject::Kind;

// 0 where there is no memory: no field that is looked at here means anything when it is 0.
uint32_t load(uintptr_t address) noexcept {
  uint32_t value = 0;
  const auto* word = reinterpret_cast<const uint32_t*>(address);
  return tendril_user_load32(word, &value) == 0 ? value : 0;
}

bool is_live(uint32_t tid) noexcept {
  return tid != 0 && threads().find(static_cast<int>(tid)) != nullptr;
}

// pthread_mutex_t: the lock word, the depth, the owner's tid. A plain lock word is 2 when somebody
// waits; a robust or priority-inheriting one holds the owner itself.
bool is_mutex(uintptr_t word, uint32_t value, WaitObject* object) noexcept {
  const uint32_t owner = (value & FUTEX_WAITERS) != 0 ? value & FUTEX_TID_MASK
                         : value == 2                 ? load(word + 8)
                                                      : 0;
  if (!is_live(owner) && !ThreadTable::could_be_tid(owner)) return false;
  *object = {Kind::kMutex, word, static_cast<int>(owner)};
  return true;
}

// Cleared and woken when the thread ends; until then its tid.
bool is_thread(uintptr_t word, uint32_t value, WaitObject* object) noexcept {
  const GreenThread* thread = threads().find(static_cast<int>(value));
  if (thread == nullptr || reinterpret_cast<uintptr_t>(thread->clear_child_tid) != word) {
    return false;
  }
  *object = {Kind::kThread, word, thread->tid};
  return true;
}

// pthread_rwlock_t: threads wait on one of two words, at 8 and 12; the writer's tid is at 24.
bool is_rwlock(uintptr_t word, uint32_t value, WaitObject* object) noexcept {
  constexpr uint32_t kFutexUsed = 2;
  if (value > 3 || (value & kFutexUsed) == 0) return false;
  const uintptr_t base = word - (word % 8 == 0 ? 8 : 12);
  const uint32_t writer = load(base + 24);
  if (!is_live(writer)) return false;
  *object = {Kind::kRwlock, base, static_cast<int>(writer)};
  return true;
}

// pthread_cond_t: threads wait on one of two words, at 40 and 44; of its group's count of waiters,
// at 16 and 20, the lowest bit is a flag, as are the lowest three of the count of all, at 36.
bool is_condition(uintptr_t word, WaitObject* object) noexcept {
  const uint32_t group = word % 8 == 0 ? 0 : 1;
  const uintptr_t base = word - 40 - 4 * group;
  const uint32_t in_group = load(base + 16 + 4 * group) >> 1;
  const uint32_t in_all = load(base + 36) >> 3;
  if (in_group == 0 || in_group > in_all || in_all > threads().count()) return false;
  *object = {Kind::kCondition, base, 0};
  return true;
}

// sem_t: the value, 0 while anybody waits, and how many wait.
bool is_semaphore(uintptr_t word, uint32_t value, WaitObject* object) noexcept {
  const uint32_t waiters = load(word + 4);
  if (value != 0 || word % 8 != 0 || waiters == 0 || waiters > threads().count()) return false;
  *object = {Kind::kSemaphore, word, 0};
  return true;
}

}  // namespace

WaitObject wait_object_at(uintptr_t word) noexcept {
  const uint32_t value = load(word);
  WaitObject object{Kind::kFutex, word, 0};
  // Those that name a thread first: they are the least likely to be something else.
  if (is_thread(word, value, &object) || is_mutex(word, value, &object) ||
      is_rwlock(word, value, &object) || is_condition(word, &object) ||
      is_semaphore(word, value, &object)) {
    return object;
  }
  return object;
}

}  // namespace tendril::kernel
