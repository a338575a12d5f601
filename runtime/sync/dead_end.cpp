// A dead end is a state of the whole process: a hub alone cannot know that another thread will not
// put something into its queue tomorrow. It is reached when
//   - every OS thread is a worker whose hub is about to sleep for ever (no timer, no descriptor
//     waited for, no active libuv handle), or one of the runtime's own that has nothing to do; and
//   - every fiber waits for something that only a fiber can bring about.
//
// The last hub to fall asleep finds it. Others may fall asleep or wake while it looks, so the order
// matters: whether all sleep, then the fibers, then whether each worker has slept through it and
// made no switch. A worker that woke one of the fibers after that was looked at must have switched
// to a fiber before, and what it switches is counted before what it wakes can be seen.
#include "runtime/sync/dead_end.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "runtime/hub/embedded_loop.hpp"
#include "runtime/hub/offload.hpp"
#include "runtime/hub/poller.hpp"
#include "runtime/hub/process.hpp"
#include "runtime/hub/worker_group.hpp"
#include "runtime/platform/syscall.hpp"
#include "runtime/sync/attention.hpp"
#include "runtime/sync/report.hpp"
#include "runtime/sync/workers.hpp"
#include "tendril/errors.hpp"

namespace tendril::detail {
namespace {

std::atomic<size_t> harmless_threads{0};

// Visits the workers of OS threads that use the API, and those of the caller's group.
template <typename Visit>
void for_each_worker(const rt::Worker* me, Visit&& visit) noexcept {
  const rt::WorkerGroup* group = me != nullptr ? me->group : nullptr;
  for (KnownWorker* k = known_workers(); k != nullptr; k = k->next) {
    if (k->alive.load() && (group == nullptr || k->worker->group != group)) visit(*k->worker);
  }
  if (group != nullptr) group->for_each_worker(visit);
}

// 0 if another worker is awake; else a number that stays the same only if nobody wakes.
uint64_t others_sleep(const rt::Worker* me) noexcept {
  uint64_t sum = 1;
  bool all = true;
  for_each_worker(me, [&](const rt::Worker& worker) {
    if (&worker == me) return;
    const uint64_t idle_after = worker.idle_after.load();
    all = all && idle_after == switches_of(&worker) + 1;
    sum += idle_after;  // for each of them it only ever grows
  });
  return all ? sum : 0;
}

// OS threads that are neither workers nor the runtime's own may do anything.
bool strangers_exist(const rt::Worker* me, size_t ending) noexcept {
  size_t expected =
      ending + harmless_threads.load() + rt::offload_threads() + rt::embedded_loop_threads();
  if (me != nullptr && me->group != nullptr) expected += me->group->watchdog_threads();
  for_each_worker(me, [&expected](const rt::Worker&) { ++expected; });
#if defined(__SANITIZE_THREAD__)
  ++expected;  // the sanitizer's own
#endif
  struct stat tasks;  // "." and "..", and a directory for each
  return rt::raw_syscall(SYS_stat, "/proc/self/task", &tasks) != 0 || tasks.st_nlink > expected + 2;
}

// Waits that only fibers end. A futex may be woken by a signal handler (sem_post).
bool is_for_fibers(rt::WaitKind kind) noexcept {
  switch (kind) {
    case rt::WaitKind::kSleep:  // for ever, since there are no timers
    case rt::WaitKind::kJoin:
    case rt::WaitKind::kEvent:
    case rt::WaitKind::kLock:
    case rt::WaitKind::kQueue:
    case rt::WaitKind::kSwitch:
      return true;
    default:
      return false;
  }
}

// Who is being told. At most one at a time: while it has not been thrown, somebody can run.
std::atomic<const rt::Fiber*> told{nullptr};
std::atomic<rt::WaitKind> told_in{};  // what it waited for

struct Victim {
  rt::Fiber* fiber = nullptr;
  uint64_t word = 0;
  int rank = 0;
};

// What its thread began with.
bool is_own(const FiberRecord& record) noexcept {
  return record.thread != nullptr && record.thread->own == &record;
}

// Who is told: what the process began with, else what this thread or another one began with.
int rank_of(const rt::Fiber* fiber, const rt::Worker* me) noexcept {
  const auto* record = static_cast<const FiberRecord*>(fiber->api);
  if (record == nullptr) {  // a green thread that has only waited so far
    if (fiber->wait_kind == rt::WaitKind::kSleep) return 0;
  } else if (record->task != nullptr || record->shields > 0 || record->thread == nullptr) {
    return 0;
  }
  const bool is_root = fiber->worker->root == fiber;
  if (is_root && fiber->worker->os_tid == rt::raw_syscall(SYS_getpid)) return 3;
  if (is_root && fiber->worker == me) return 2;
  return record == nullptr || is_own(*record) ? 1 : 0;
}

bool waits_for_fibers(const rt::Fiber* fiber) noexcept {
  const rt::WakeReason reason =
      rt::wait_word::reason(fiber->wait_word.load(std::memory_order_acquire));
  return (reason == rt::WakeReason::kNone || reason == rt::WakeReason::kShielded) &&
         fiber->state.load(std::memory_order_acquire) == rt::FiberState::kParked &&
         is_for_fibers(fiber->wait_kind);
}

bool all_wait_for_fibers() noexcept {
  bool all = true;
  rt::process().for_each_fiber(
      [&all](const rt::Fiber* fiber) { all = all && waits_for_fibers(fiber); });
  return all;
}

// Looks into records, which stay only while everybody sleeps.
Victim find_victim(const rt::Worker* me) noexcept {
  Victim victim;
  rt::process().for_each_fiber([&](rt::Fiber* fiber) {
    const uint64_t word = fiber->wait_word.load(std::memory_order_acquire);
    if (rt::wait_word::reason(word) != rt::WakeReason::kNone) return;
    if (const int rank = rank_of(fiber, me); rank > victim.rank) victim = {fiber, word, rank};
  });
  return victim;
}

void tell(const Victim& victim) noexcept {
  const rt::Fiber* nobody = nullptr;
  if (!told.compare_exchange_strong(nobody, victim.fiber)) return;
  told_in.store(victim.fiber->wait_kind);
  if (!rt::wake({victim.fiber, victim.word}, rt::WakeReason::kInterrupted)) told.store(nullptr);
}

// What a worker of the group may have begun to wait for since the caller looked.
bool group_waits_for_more(const rt::Worker* me) noexcept {
  return me != nullptr && me->group != nullptr &&
         (me->group->nearest_timer() != rt::kForever || me->poller->waiters() != 0);
}

void look(const rt::Worker* me, size_t ending) noexcept {
  const uint64_t before = others_sleep(me);
  if (before == 0 || group_waits_for_more(me) || strangers_exist(me, ending)) return;
  if (!all_wait_for_fibers() || others_sleep(me) != before) return;
  if (const Victim victim = find_victim(me); victim.fiber != nullptr) tell(victim);
}

// On the hub, which in a green process must not allocate: what is said is put together later.
void on_dead_end(rt::Worker* worker) { look(worker, 0); }

}  // namespace

void watch_for_dead_ends() noexcept {
  rt::ProcessHooks& hooks = rt::process().hooks;
  if (hooks.on_dead_end == nullptr) hooks.on_dead_end = on_dead_end;
}

void count_harmless_thread(int change) noexcept {
  harmless_threads.fetch_add(static_cast<size_t>(change));
}

void look_for_dead_end_at_thread_end() noexcept {
  if (rt::process().live_fibers() > 0) look(nullptr, 1);
}

bool is_at_dead_end(const rt::Fiber* self) noexcept {
  const rt::Fiber* expected = self;
  return told.compare_exchange_strong(expected, nullptr);
}

// All others sleep: what they refer to stays.
void throw_loop_exit(const FiberRecord& record) {
  struct Waiting {
    const FiberRecord* record;
    rt::WaitKind kind;
    const void* object;
  };
  constexpr size_t kMost = 20;
  Waiting waiting[kMost];
  size_t count = 0;
  size_t total = 0;
  rt::process().for_each_fiber([&](const rt::Fiber* fiber) {
    ++total;
    if (count == kMost) return;
    const bool own = fiber == record.fiber;
    waiting[count++] = {static_cast<const FiberRecord*>(fiber->api),
                        own ? told_in.load() : rt::WaitKind{fiber->wait_kind}, fiber->wait_object};
  });
  std::string text = "tendril: would block for ever, nothing can wake these:";
  for (size_t i = 0; i < count; ++i) {
    const Waiting& w = waiting[i];
    char object[32];
    std::snprintf(object, sizeof object, " %p", w.object);
    text += "\n  ";
    if (w.record != nullptr && w.record->task != nullptr) {
      text += describe_task(*w.record->task);
    } else {
      text += w.record != nullptr && is_own(*w.record) ? "main" : "a thread";
    }
    if (w.record != nullptr && w.record->thread != nullptr &&
        w.record->thread->tid.load() != getpid()) {
      text += " (thread " + std::to_string(w.record->thread->tid.load()) + ")";
    }
    text += std::string(" waits: ") + rt::wait_kind_name(w.kind) + (w.object ? object : "");
  }
  if (total > count) text += "\n  and " + std::to_string(total - count) + " more";
  throw LoopExit(text);
}

}  // namespace tendril::detail
