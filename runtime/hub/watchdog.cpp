#include "runtime/hub/watchdog.hpp"

#include <linux/futex.h>

#include "runtime/hub/cpu_time.hpp"
#include "runtime/hub/interruptible_call.hpp"
#include "runtime/hub/poller.hpp"
#include "runtime/hub/process.hpp"
#include "runtime/hub/seeded_schedule.hpp"
#include "runtime/hub/worker_group.hpp"
#include "runtime/platform/clock.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::rt {
namespace {

constexpr size_t kStackSize = 32 * 1024;
constexpr Nanoseconds kBetweenLooks = 10'000'000;
// Under a seed another worker changes who runs when: only what would stand for good gets one.
constexpr Nanoseconds kBetweenLooksUnderSeed = 2'000'000'000;
// Few, for many an idle server has a thread that wakes a few times a second; some, for whoever
// wakes it has to make a system call.
constexpr int kQuietLooksBeforeRest = 3;

// In a look's time a thread that runs gets more of a processor than this.
constexpr Nanoseconds kStoodStill = kBetweenLooks / 100;

}  // namespace

void Watchdog::start(WorkerGroup* group) noexcept {
  if (started_.exchange(true)) return;
  group_ = group;
  if (!thread_.has_ended()) {  // one that was retired: the next to wake tries again
    started_ = false;
    return;
  }
  stale_ = false;
  if (thread_.stack_top == nullptr && prepare_bare_thread(kStackSize, &thread_) == nullptr) {
    started_ = false;
    return;
  }
  // All signals are blocked but the one that ends its wait.
  if (start_bare_thread(&thread_, main, this, ~interrupt_signal_bit()) < 0) started_ = false;
}

void Watchdog::main(void* argument) {
  auto* self = static_cast<Watchdog*>(argument);
  const Nanoseconds pause = seeded_schedule().is_on() ? kBetweenLooksUnderSeed : kBetweenLooks;
  int quiet = 0;
  for (;;) {
    self->group_->wake_preemption().watch(*self->group_, self->thread_.tid, pause);
    if (self->is_stale()) {
      self->started_ = false;
      return;
    }
    quiet = self->look() ? 0 : quiet + 1;
    if (quiet < kQuietLooksBeforeRest) continue;
    self->resting_.store(1, std::memory_order_seq_cst);
    // Whoever wakes from now on sees it; who woke before, we see.
    if (!self->look()) {
      // Nor may it rest when it is to end.
      if (self->is_stale()) self->resting_.store(0, std::memory_order_relaxed);
      raw_syscall(SYS_futex, &self->resting_, FUTEX_WAIT_PRIVATE, 1, nullptr, nullptr, 0);
    }
    self->resting_.store(0, std::memory_order_relaxed);
    quiet = 0;
  }
}

void Watchdog::end_rest() noexcept {
  if (resting_.exchange(0) == 0) return;
  raw_syscall(SYS_futex, &resting_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

bool Watchdog::look() noexcept {
  if (group_->has_lost_thread() && process().hooks.on_lost_thread != nullptr) {
    process().hooks.on_lost_thread();
  }
  bool awake = false;
  bool somebody_sleeps = false;
  uint32_t blocked = 0;
  group_->for_each_worker([&](Worker& worker) {
    const auto situation = group_->situation_of(worker);
    if (situation == WorkerGroup::Situation::kStandsBy) return;
    if (situation == WorkerGroup::Situation::kSleeps) {
      somebody_sleeps = true;
      return;
    }
    awake = true;
    const Nanoseconds cpu_time = time_of_os_thread(worker.os_tid);
    const bool stood_still = cpu_time - worker.cpu_time_at_look < kStoodStill;
    worker.cpu_time_at_look = cpu_time;
    if (situation == WorkerGroup::Situation::kNoSwitch && stood_still) ++blocked;
  });
  if (blocked > blocked_at_last_look_) {
    seen_.fetch_add(blocked - blocked_at_last_look_, std::memory_order_relaxed);
  }
  blocked_at_last_look_ = blocked;
  // One that sleeps is woken by descriptors, and takes what waits on others. But a timer that was
  // armed on a worker before that got stuck may be due before the sleeper meant to look again.
  if (blocked != 0 && somebody_sleeps) group_->first()->poller->ring();
  group_->want_spares(somebody_sleeps ? 0 : blocked);
  return awake;
}

void Watchdog::reset_after_fork() noexcept {
  started_ = false;
  stale_ = false;
  thread_ = {};
  resting_ = 0;
  seen_ = 0;
  blocked_at_last_look_ = 0;
}

}  // namespace tendril::rt
