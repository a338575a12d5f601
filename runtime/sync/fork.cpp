#include "runtime/sync/fork.hpp"

#include <pthread.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>
#include <vector>

#include "runtime/hub/embedded_loop.hpp"
#include "runtime/hub/fatal.hpp"
#include "runtime/hub/interposed.hpp"
#include "runtime/hub/offload.hpp"
#include "runtime/hub/park.hpp"
#include "runtime/memory/allocator.hpp"
#include "runtime/sync/attention.hpp"
#include "runtime/sync/inspection.hpp"
#include "runtime/sync/task_list.hpp"
#include "runtime/sync/timeout_record.hpp"
#include "runtime/sync/workers.hpp"
#include "tendril/detail/task.hpp"
#include "tendril/hub.hpp"

namespace tendril::detail {
namespace {

// Written before the fork by the flow that calls it; the child's copy is read by the same flow.
thread_local FiberRecord* forking = nullptr;
thread_local FiberRecord* record_over_fork = nullptr;

// In a child that stays a worker: those that go on, found while all are forgotten.
std::vector<rt::Fiber*>* going_on = nullptr;

bool waits_in_switch(const rt::Fiber* fiber) noexcept {
  return fiber->wait_kind == rt::WaitKind::kSwitch &&
         rt::wait_word::reason(fiber->wait_word.load(std::memory_order_relaxed)) ==
             rt::WakeReason::kNone;
}

// In a green process greenlets are threads, which are not in the child.
bool goes_on(const rt::Fiber* fiber) noexcept {
  if (fiber->api != nullptr && fiber->api == forking) return true;
  const rt::Worker* mine = rt::current_worker();
  return mine != nullptr &&
         (fiber == mine->current || (fiber->worker == mine && waits_in_switch(fiber)));
}

// It waits in lists of objects that go on being used: whoever finds it there must find its wait
// ended. Only stores: a green process calls this in the middle of its fork.
void forget(rt::Fiber* fiber) noexcept {
  if (goes_on(fiber)) {
    if (going_on != nullptr) going_on->push_back(fiber);
    return;
  }
  const uint64_t word = fiber->wait_word.load(std::memory_order_relaxed);
  fiber->wait_word.store(
      rt::wait_word::pack(rt::wait_word::epoch(word) + 1, rt::WakeReason::kNotWaiting),
      std::memory_order_relaxed);
  auto* record = static_cast<FiberRecord*>(std::exchange(fiber->api, nullptr));
  if (record == nullptr) return;
  rt::reset_biased_lock_after_fork(record->lock);
  record->fiber = nullptr;
  if (Task* task = record->task; task != nullptr && task->state != TaskState::kDone) {
    task->ended_by_exit = true;
    task->state.store(TaskState::kDone, std::memory_order_relaxed);
  }
}

void before_fork() {
  forking = nullptr;
  if (rt::on_worker) forking = static_cast<FiberRecord*>(running_fiber()->api);
}

void rearm_timeouts(const FiberRecord& record, rt::Worker* worker) noexcept {
  for (TimeoutRecord* t = record.timeouts; t != nullptr; t = t->outer) {
    if (!t->expired && !worker->timers.arm(&t->timer, t->when, t->start)) {
      rt::fatal("out of memory for timers");
    }
  }
}

// The hub begins anew on the same OS thread: no event of the parent's descriptors reaches it.
void renew_worker(rt::Worker* worker, const std::vector<rt::Fiber*>& fibers) {
  worker->poller->abandon_after_fork();
  worker->poller = rt::Poller::create();
  if (worker->poller == nullptr) rt::fatal("no descriptors for the hub of a forked child");
  worker->forget_after_fork();
  worker->os_tid = static_cast<int>(rt::raw_syscall(SYS_gettid));
  bool root_goes_on = false;
  for (rt::Fiber* fiber : fibers) {
    rt::process().add_fiber(fiber);
    root_goes_on = root_goes_on || fiber == worker->root;
    if (fiber->api != nullptr) rearm_timeouts(*static_cast<FiberRecord*>(fiber->api), worker);
  }
  if (!root_goes_on) worker->root = worker->current;
}

void in_child() {
  if (forking != nullptr && forking->thread != nullptr) forking->thread->tid.store(gettid());
  if (rt::is_interposed()) {
    if (!rt::on_worker) record_over_fork = forking;  // else there was one thread, and nothing yet
    forget_other_workers_after_fork(nullptr, [](rt::Worker*) {});
    inspection_reset_after_fork();
    return;
  }
  rt::runtime_allocator_reset_after_fork();
  rt::fiber_pool_reset_after_fork();
  rt::default_stacks().reset_after_fork();
  rt::offload_reset_after_fork();
  rt::set_embedded_loop_threads(0);
  stack_pools_reset_after_fork();
  identities_reset_after_fork();
  inspection_reset_after_fork();
  rt::Worker* worker = rt::current_worker();
  std::vector<rt::Fiber*> fibers;
  going_on = &fibers;
  rt::process().reset_after_fork();
  going_on = nullptr;
  forget_other_workers_after_fork(worker,
                                  [](rt::Worker* other) { other->poller->abandon_after_fork(); });
  if (worker != nullptr) renew_worker(worker, fibers);
}

__attribute__((constructor)) void take_part_in_forks() {
  rt::process().hooks.on_forgotten_after_fork = forget;
  pthread_atfork(before_fork, nullptr, in_child);
}

}  // namespace

FiberRecord* take_record_over_fork() noexcept { return std::exchange(record_over_fork, nullptr); }

void end_forked_child() noexcept {
  this_hub().join();
  std::exit(0);
}

}  // namespace tendril::detail
