// The workers of the explicit API: one for each OS thread that used it, each with a poller of its
// own.
#pragma once

#include <atomic>

#include "runtime/hub/poller.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/platform/spin_lock.hpp"

namespace tendril::detail {

// A worker is never freed, only reused: so is its entry.
struct KnownWorker {
  rt::Worker* worker;
  KnownWorker* next;
  std::atomic<bool> alive{true};  // an OS thread has it
};

// The newest; the list only ever grows at the front, so it may be walked without a lock.
KnownWorker* known_workers() noexcept;
rt::SpinLock& known_workers_lock() noexcept;  // for additions

// What a worker does, for other OS threads: it writes these at every switch and must not pay for
// being looked at.
uint64_t switches_of(const rt::Worker* worker) noexcept;
bool is_on_hub(const rt::Worker* worker) noexcept;

// An OS thread has it. Null when out of memory.
KnownWorker* note_worker(rt::Worker* worker) noexcept;
void note_worker_gone(const rt::Worker* worker) noexcept;

// In the child of fork: no worker but this one (which may be null) has an OS thread. Visits those
// that had one.
template <typename Visit>
void forget_other_workers_after_fork(const rt::Worker* mine, Visit&& visit) noexcept {
  known_workers_lock().reset_after_fork();
  for (KnownWorker* k = known_workers(); k != nullptr; k = k->next) {
    if (k->worker != mine && k->alive.exchange(false)) visit(k->worker);
  }
}

// The descriptor is about to be closed: whoever waits on it, on any worker, is woken with kClosed.
void forget_everywhere(int fd) noexcept;

// Drops a registration that may be of an earlier owner of the number, closed behind our back.
// Nothing happens while somebody waits on it.
void forget_if_stale(rt::Poller& poller, int fd, rt::FdState& state) noexcept;

}  // namespace tendril::detail
