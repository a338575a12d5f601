#include "runtime/hub/watchdog.hpp"

#include <fcntl.h>
#include <linux/futex.h>

#include "runtime/hub/worker_group.hpp"
#include "runtime/platform/clock.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::rt {
namespace {

constexpr size_t kStackSize = 32 * 1024;
constexpr uint64_t kAllSignals = ~uint64_t{0};
constexpr Nanoseconds kBetweenLooks = 10'000'000;
constexpr int kQuietLooksBeforeRest = 100;

// True if the kernel says that the OS thread waits: sleeping or in uninterruptible sleep.
bool waits_in_kernel(int tid) noexcept {
  char path[64] = "/proc/self/task/";
  char digits[16];
  int count = 0;
  for (int rest = tid; rest > 0; rest /= 10) digits[count++] = static_cast<char>('0' + rest % 10);
  char* end = path + __builtin_strlen(path);
  while (count > 0) *end++ = digits[--count];
  __builtin_strcpy(end, "/stat");
  const long fd = raw_syscall(SYS_open, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char text[128];  // tid (name) state …: the name has at most 15 characters, any of them
  const long got = raw_syscall(SYS_read, fd, text, sizeof text);
  raw_syscall(SYS_close, fd);
  for (long i = got - 3; i >= 0; --i) {
    if (text[i] == ')' && text[i + 1] == ' ') return text[i + 2] == 'S' || text[i + 2] == 'D';
  }
  return false;
}

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
  if (start_bare_thread(&thread_, main, this, kAllSignals) < 0) started_ = false;
}

void Watchdog::main(void* argument) {
  auto* self = static_cast<Watchdog*>(argument);
  const timespec pause = to_timespec(kBetweenLooks);
  int quiet = 0;
  for (;;) {
    raw_syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &pause, nullptr);
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
    if (situation == WorkerGroup::Situation::kNoSwitch && waits_in_kernel(worker.os_tid)) {
      ++blocked;
    }
  });
  if (blocked > blocked_at_last_look_) {
    seen_.fetch_add(blocked - blocked_at_last_look_, std::memory_order_relaxed);
  }
  blocked_at_last_look_ = blocked;
  // One that sleeps would be woken by whatever concerns it, and takes what waits on others.
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
