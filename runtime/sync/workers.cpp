#include "runtime/sync/workers.hpp"

#include "runtime/memory/allocator.hpp"

namespace tendril::detail {
namespace {

std::atomic<KnownWorker*> newest{nullptr};
rt::SpinLock newest_lock;

KnownWorker* find(const rt::Worker* worker) noexcept {
  for (KnownWorker* k = known_workers(); k != nullptr; k = k->next) {
    if (k->worker == worker) return k;
  }
  return nullptr;
}

}  // namespace

KnownWorker* known_workers() noexcept { return newest.load(std::memory_order_acquire); }

rt::SpinLock& known_workers_lock() noexcept { return newest_lock; }

__attribute__((noinline, no_sanitize("thread"))) uint64_t switches_of(
    const rt::Worker* worker) noexcept {
  return *static_cast<const volatile uint64_t*>(&worker->stats.switches);
}

__attribute__((noinline, no_sanitize("thread"))) bool is_on_hub(const rt::Worker* worker) noexcept {
  return *static_cast<rt::Fiber* const volatile*>(&worker->current) == &worker->hub;
}

KnownWorker* note_worker(rt::Worker* worker) noexcept {
  rt::SpinGuard guard(newest_lock);
  if (KnownWorker* known = find(worker)) {
    worker->idle_after.store(0);  // of an earlier OS thread
    known->alive.store(true);
    return known;
  }
  void* memory = rt::runtime_allocate(sizeof(KnownWorker));
  if (memory == nullptr) return nullptr;
  auto* fresh = new (memory) KnownWorker{worker, newest.load(std::memory_order_relaxed)};
  newest.store(fresh, std::memory_order_release);
  return fresh;
}

void note_worker_gone(const rt::Worker* worker) noexcept {
  if (KnownWorker* known = find(worker)) known->alive.store(false);
}

void forget_everywhere(int fd) noexcept {
  rt::Worker* me = rt::current_worker();
  if (me != nullptr && find(me) == nullptr) me->poller->forget(fd);
  for (KnownWorker* k = known_workers(); k != nullptr; k = k->next) k->worker->poller->forget(fd);
}

void forget_if_stale(rt::Poller& poller, int fd, rt::FdState& state) noexcept {
  {
    rt::SpinGuard guard(state.lock);
    if (!state.registered || state.polled || state.waiting[0].load() != 0 ||
        state.waiting[1].load() != 0) {
      return;
    }
  }
  poller.forget(fd);
}

}  // namespace tendril::detail
