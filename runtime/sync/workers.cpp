#include "runtime/sync/workers.hpp"

#include <atomic>

#include "runtime/memory/allocator.hpp"
#include "runtime/platform/spin_lock.hpp"

namespace tendril::detail {
namespace {

// Only ever grows at the front: read without the lock.
struct Known {
  rt::Worker* worker;
  Known* next;
};
std::atomic<Known*> known{nullptr};
rt::SpinLock known_lock;

bool is_known(const rt::Worker* worker) noexcept {
  for (Known* k = known.load(std::memory_order_acquire); k != nullptr; k = k->next) {
    if (k->worker == worker) return true;
  }
  return false;
}

}  // namespace

void note_worker(rt::Worker* worker) noexcept {
  rt::SpinGuard guard(known_lock);
  if (is_known(worker)) return;
  auto* fresh = rt::runtime_new<Known>(Known{worker, known.load(std::memory_order_relaxed)});
  if (fresh != nullptr) known.store(fresh, std::memory_order_release);
}

void forget_everywhere(int fd) noexcept {
  rt::Worker* me = rt::current_worker();
  if (me != nullptr && !is_known(me)) me->poller->forget(fd);
  for (Known* k = known.load(std::memory_order_acquire); k != nullptr; k = k->next) {
    k->worker->poller->forget(fd);
  }
}

void forget_if_stale(rt::Poller& poller, int fd, rt::FdState& state) noexcept {
  {
    rt::SpinGuard guard(state.lock);
    if (!state.registered || !state.pollers.empty() || !state.transferrers[0].empty() ||
        !state.transferrers[1].empty()) {
      return;
    }
  }
  poller.forget(fd);
}

}  // namespace tendril::detail
