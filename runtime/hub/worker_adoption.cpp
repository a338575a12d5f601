// How an OS thread becomes a worker, and stops being one.
#include <new>

#include "runtime/hub/fatal.hpp"
#include "runtime/hub/poller.hpp"
#include "runtime/hub/process.hpp"
#include "runtime/hub/transfer_ring.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/memory/pages.hpp"
#include "runtime/memory/stack_pool.hpp"
#include "runtime/platform/asymmetric_fence.hpp"
#include "runtime/platform/clock.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::rt {
namespace {

constexpr size_t kHubStackSize = 256 * 1024;

constinit StackPool hub_stack_pool(kHubStackSize);

// Workers of threads that have ended, each with a poller of its own.
SpinLock retired_lock;
Worker* retired = nullptr;

}  // namespace

SpinLock& Worker::retired_workers_lock() noexcept { return retired_lock; }
StackPool& Worker::hub_stacks() noexcept { return hub_stack_pool; }

Worker* Worker::make(Poller* shared_poller, Worker* reuse) noexcept {
  if (reuse != nullptr) return make_again(reuse, shared_poller);
  if (shared_poller == nullptr) {
    SpinGuard guard(retired_lock);
    if (Worker* worker = retired) {
      retired = worker->next_retired_;
      return worker;
    }
  }
  void* pages = map_pages(round_up_to_page(sizeof(Worker)));
  if (pages == nullptr) return nullptr;
  auto* worker = new (pages) Worker;
  worker->poller = shared_poller != nullptr ? shared_poller : Poller::create();
  worker->hub.stack = hub_stack_pool.take();
  if (worker->poller == nullptr || !worker->hub.stack) {
    if (worker->poller != nullptr && shared_poller == nullptr) Poller::destroy(worker->poller);
    if (worker->hub.stack) hub_stack_pool.give_back(worker->hub.stack);
    unmap_pages(pages, round_up_to_page(sizeof(Worker)));
    return nullptr;
  }
  if (shared_poller == nullptr) process().add_alone(&worker->fibers);
  return worker;
}

bool Worker::prepare() noexcept {
  Worker* worker = make(nullptr, nullptr);
  if (worker != nullptr) retire(worker);
  return worker != nullptr;
}

void Worker::retire(Worker* worker) noexcept {
  SpinGuard guard(retired_lock);
  worker->next_retired_ = retired;
  retired = worker;
}

Worker* Worker::adopt_this_thread(Fiber* root, Poller* shared_poller, uintptr_t hub_fs_base,
                                  int* error, Worker* reuse) noexcept {
  *error = ENOMEM;
  Worker* worker = make(shared_poller, reuse);
  if (worker == nullptr) return nullptr;
  const Stack stack = worker->hub.stack;
  worker->os_tid = static_cast<int>(raw_syscall(SYS_gettid));
  // With a control block for the hub it is about to be the first of a group.
  worker->waits_plainly = shared_poller == nullptr && hub_fs_base == 0 &&
                          root->errno_location != nullptr && can_fence_all_threads();
  if (worker->waits_plainly) worker->transfers = TransferRing::create_if_wanted(*worker->poller);
  worker->root = root;
  worker->current = root;
  root->worker = worker;
  root->state.store(FiberState::kRunning, std::memory_order_relaxed);

  Fiber& hub = worker->hub;
  hub.worker = worker;
  hub.state.store(FiberState::kRunning, std::memory_order_relaxed);
  __builtin_strcpy(hub.name, "hub");
  if (hub_fs_base != 0) {
    hub.fs_base = hub_fs_base;
    mark_on_worker(hub_fs_base);
  } else {
    adopt_current_thread(hub, /*shared=*/true);
  }
  make_context(hub, stack.top() - 64, stack.size - 64, hub_entry);

  worker->last_hub_time_ = monotonic_now();
  worker->woken_streak_ = 0;  // a reused worker starts like a new one
  worker->turns_left_ = kTurnsPerLook;
  worker->looks_left_ = kLooksPerHubTurn;
  worker->last_hub_cycles_ = cycle_count();
  if (hub_fs_base != 0) {
    set_gs_base(reinterpret_cast<uintptr_t>(worker));
  } else {
    own_worker = worker;
  }
  on_worker = true;
  *error = 0;
  return worker;
}

void Worker::release_this_thread() noexcept {
  Worker* worker = current_worker_unchecked();
  require(worker->current == worker->root, "a worker is released by its root fiber only");
  require(!worker->anything_ready() && worker->inbox.empty() && worker->timers.size() == 0,
          "a worker is released while it has work");
  worker->close_loop();
  if (worker->transfers != nullptr) TransferRing::destroy(worker->transfers);
  worker->transfers = nullptr;
  on_worker = false;
  own_worker = nullptr;
  retire_context(worker->hub);
  Fiber* root = worker->root;
  root->state.store(FiberState::kDead, std::memory_order_relaxed);
  give_back_fiber(root);
  worker->root = worker->current = nullptr;
  retire(worker);
}

}  // namespace tendril::rt
