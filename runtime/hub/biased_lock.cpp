#include "runtime/hub/biased_lock.hpp"

#include "runtime/platform/asymmetric_fence.hpp"
#include "runtime/platform/backoff.hpp"

namespace tendril::rt {
namespace {

// What `favoured` says when nobody is any more.
const char nobody_storage = 0;
const void* const kNobody = &nobody_storage;

}  // namespace

bool settle_biased_lock(BiasedLock& lock, const Worker* me) noexcept {
  const void* favoured = lock.favoured.load(std::memory_order_acquire);
  if (favoured == nullptr && me != nullptr) {
    const void* wanted = can_fence_all_threads() ? me : kNobody;
    if (lock.favoured.compare_exchange_strong(favoured, wanted) && wanted == me) return true;
  }
  Backoff backoff;
  while (lock.locked.exchange(true, std::memory_order_acquire)) backoff.pause();
  if (lock.favoured.load(std::memory_order_relaxed) != kNobody) {
    lock.favoured.store(kNobody, std::memory_order_seq_cst);
    fence_all_threads();
    while (lock.held_by_favoured.load(std::memory_order_acquire)) backoff.pause();
  }
  return false;
}

void reset_biased_lock_after_fork(BiasedLock& lock) noexcept {
  lock.favoured.store(nullptr, std::memory_order_relaxed);
  lock.held_by_favoured.store(false, std::memory_order_relaxed);
  lock.locked.store(false, std::memory_order_relaxed);
}

}  // namespace tendril::rt
