#include "runtime/sync/guard.hpp"

#include <linux/membarrier.h>

#include "runtime/platform/syscall.hpp"

namespace tendril::detail {
namespace {

// What `favoured` says when nobody is any more.
const char nobody_storage = 0;
const void* const kNobody = &nobody_storage;

bool register_membarrier() noexcept {
  return rt::raw_syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

// Without the system call no lock favours anybody.
bool favours_possible() noexcept {
  static const bool possible = register_membarrier();
  return possible;
}

void relax(int& spins) noexcept {
  if (++spins > 200) {
    rt::raw_syscall(SYS_sched_yield);
    spins = 0;
  } else {
    asm volatile("pause");
  }
}

}  // namespace

void Guard::acquire_slowly(rt::Worker* me) noexcept {
  const void* favoured = lock_.favoured.load(std::memory_order_acquire);
  if (favoured == nullptr) {
    const void* wanted = favours_possible() ? me : kNobody;
    if (lock_.favoured.compare_exchange_strong(favoured, wanted)) {
      return acquire_for(me);
    }
  }
  int spins = 0;
  while (lock_.locked.exchange(true, std::memory_order_acquire)) relax(spins);
  if (lock_.favoured.load(std::memory_order_relaxed) != kNobody) {
    lock_.favoured.store(kNobody, std::memory_order_seq_cst);
    // EPERM in a child of fork that lost the registration: register again.
    while (rt::raw_syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0 &&
           register_membarrier()) {
    }
    while (lock_.held_by_favoured.load(std::memory_order_acquire)) relax(spins);
  }
  favoured_ = false;
}

}  // namespace tendril::detail
