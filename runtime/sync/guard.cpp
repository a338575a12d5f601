#include "runtime/sync/guard.hpp"

#include "runtime/platform/backoff.hpp"
#include "runtime/sync/asymmetric_fence.hpp"
#include "runtime/sync/dead_end.hpp"

namespace tendril::detail {
namespace {

// What `favoured` says when nobody is any more.
const char nobody_storage = 0;
const void* const kNobody = &nobody_storage;

}  // namespace

void Guard::acquire_slowly(rt::Worker* me) noexcept {
  const void* favoured = lock_.favoured.load(std::memory_order_acquire);
  if (favoured == nullptr) {
    watch_for_dead_ends();
    const void* wanted = can_fence_all_threads() ? me : kNobody;
    if (lock_.favoured.compare_exchange_strong(favoured, wanted)) {
      return acquire_for(me);
    }
  }
  rt::Backoff backoff;
  while (lock_.locked.exchange(true, std::memory_order_acquire)) backoff.pause();
  if (lock_.favoured.load(std::memory_order_relaxed) != kNobody) {
    lock_.favoured.store(kNobody, std::memory_order_seq_cst);
    fence_all_threads();
    while (lock_.held_by_favoured.load(std::memory_order_acquire)) backoff.pause();
  }
  favoured_ = false;
}

}  // namespace tendril::detail
