#include "runtime/hub/cpu_time.hpp"

#include "runtime/hub/switch_duties.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/platform/backoff.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::rt {
namespace {

Nanoseconds own_clock() noexcept {
  timespec time{};
  raw_syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &time);
  return to_nanoseconds(time);
}

// The clock of a worker whose account is closed, when somebody first asked.
Nanoseconds first_asked_at(CpuAccount& account, Nanoseconds now) noexcept {
  Nanoseconds before = 0;
  return account.asked_at.compare_exchange_strong(before, now) ? now : before;
}

// With what its worker has not charged it with yet; false if the worker was just changing that.
bool read_account(const Fiber& fiber, Nanoseconds* time) noexcept {
  Worker* worker = std::atomic_ref(const_cast<Worker*&>(fiber.worker)).load();
  CpuAccount& account = worker->cpu_account;
  const uint32_t version = account.version.load(std::memory_order_acquire);
  if ((version & 1) != 0) return false;
  *time = fiber.cpu_time.load(std::memory_order_acquire);
  const bool runs = std::atomic_ref(worker->current).load(std::memory_order_relaxed) == &fiber;
  if (runs) {
    const Nanoseconds now = time_of_os_thread(worker->os_tid);
    *time += now - (account.open.load(std::memory_order_relaxed)
                        ? account.charged.load(std::memory_order_acquire)
                        : first_asked_at(account, now));
  }
  std::atomic_thread_fence(std::memory_order_acquire);
  return account.version.load(std::memory_order_relaxed) == version;
}

}  // namespace

Nanoseconds time_of_os_thread(int tid) noexcept {
  timespec time{};
  raw_syscall(SYS_clock_gettime, thread_cpu_clock(tid), &time);
  return to_nanoseconds(time);
}

void charge_and_set_current(Worker& worker, Fiber& next) noexcept {
  Fiber& running = *worker.current;
  CpuAccount& account = worker.cpu_account;
  const bool was_open = account.open.load(std::memory_order_relaxed);
  const Nanoseconds asked_at = was_open ? 0 : account.asked_at.load(std::memory_order_acquire);
  if (asked_at != 0) account.charged.store(asked_at, std::memory_order_relaxed);
  const bool open = was_open || asked_at != 0;
  const Nanoseconds now = own_clock();  // not before asked_at
  // An OS thread of its own means the kernel's clock, whose timers count what the hub uses, too:
  // they must not expire before the fiber's time has come. So that is charged with the fiber's.
  const bool is_hub_of_one = worker.reserved && &running == &worker.hub && open;
  const uint32_t version = account.version.load(std::memory_order_relaxed);
  account.version.store(version + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  if (open && !is_hub_of_one) {
    running.cpu_time.store(running.cpu_time.load(std::memory_order_relaxed) + now -
                               account.charged.load(std::memory_order_relaxed),
                           std::memory_order_relaxed);
  }
  if (!is_hub_of_one) account.charged.store(now, std::memory_order_relaxed);
  account.open.store(true, std::memory_order_relaxed);
  // Between the versions: or the rest of the switch would count to the one that has been charged,
  // and be lost to it again.
  std::atomic_ref(worker.current).store(&next, std::memory_order_relaxed);
  account.version.store(version + 2, std::memory_order_release);
}

void begin_cpu_account(Worker& worker, Fiber& running) noexcept {
  const Nanoseconds now = own_clock();
  running.cpu_time.store(now, std::memory_order_relaxed);
  worker.cpu_account.charged.store(now, std::memory_order_relaxed);
}

Nanoseconds cpu_time_of(Fiber& fiber) noexcept {
  Worker& here = *current_worker_unchecked();
  if ((switch_duties.fetch_or(kChargeCpuTime) & kChargeCpuTime) == 0) {
    here.cpu_account.open.store(true, std::memory_order_relaxed);  // since its thread became one
  }
  charge_and_set_current(here, *here.current);
  Nanoseconds time = fiber.cpu_time.load(std::memory_order_relaxed);
  if (&fiber == here.current) return time;
  // A worker between two versions is a few instructions from the next, unless it has no processor
  // just then. One that is held up there (by a debugger) makes us answer with what was charged
  // last.
  constexpr Nanoseconds kLongest = 1'000'000'000;
  const Deadline limit = deadline_after(kLongest);
  Backoff backoff;
  while (!read_account(fiber, &time) && monotonic_now() < limit) backoff.pause();
  return time;
}

void cpu_times_reset_after_fork(Worker& worker, Fiber& survivor) noexcept {
  switch_duties.fetch_and(static_cast<uint8_t>(~kChargeCpuTime));
  worker.cpu_account.charged.store(0, std::memory_order_relaxed);
  worker.cpu_account.open.store(false, std::memory_order_relaxed);
  worker.cpu_account.asked_at.store(0, std::memory_order_relaxed);
  survivor.cpu_time.store(0, std::memory_order_relaxed);
}

}  // namespace tendril::rt
