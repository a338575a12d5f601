// The run of a hog on its worker: a fiber that has used up a time slice before, and computes on.
#pragma once

#include <atomic>
#include <cstdint>

#include "runtime/platform/clock.hpp"
#include "runtime/platform/spin_lock.hpp"

namespace tendril::rt {

// Begun by the worker; looked at by any thread. That it is over the worker need not say: it lasts
// as long as the number of the worker's switches.
class HogRun {
 public:
  // `at_switch`: the number of switches from when it runs.
  // `owed`: it was kept waiting, and gives way to nobody before it is unprotected.
  void begin(uint64_t at_switch, Deadline now, Deadline protected_until, bool owed) noexcept {
    began_.store(now, std::memory_order_relaxed);
    owed_until_ = owed ? protected_until : 0;
    protected_until_.store(protected_until, std::memory_order_relaxed);
    at_switch_.store(at_switch, std::memory_order_seq_cst);
  }
  bool lasts(uint64_t switches) const noexcept {
    return at_switch_.load(std::memory_order_seq_cst) == switches;
  }

  // The same from when it is begun: the worker may lose its processor before the switch, to the
  // very thread that it has woken to watch the run.
  bool lasts_or_begins(uint64_t switches) const noexcept {
    const uint64_t at = at_switch_.load(std::memory_order_seq_cst);
    return at == switches || at == switches + 1;
  }
  uint64_t number() const noexcept { return at_switch_.load(std::memory_order_relaxed); }

  // Not to be interrupted before.
  Deadline protected_until() const noexcept {
    return protected_until_.load(std::memory_order_relaxed);
  }
  void protect_until(Deadline when) noexcept {
    protected_until_.store(when, std::memory_order_relaxed);
  }

  // 0 unless it is owed time. By its own worker.
  Deadline owed_until() const noexcept { return owed_until_; }

  Deadline began() const noexcept { return began_.load(std::memory_order_relaxed); }
  void begin_turn(Deadline now) noexcept { began_.store(now, std::memory_order_relaxed); }

  // The run that lasts at this number of switches is to end for those who were woken; and whether
  // that has been said since.
  void ask_to_give_way(uint64_t switches) noexcept {
    gives_way_at_.store(switches, std::memory_order_release);
  }
  bool is_to_give_way(uint64_t switches) const noexcept {
    return gives_way_at_.load(std::memory_order_acquire) == switches && lasts(switches);
  }

  // The same for the other hogs.
  void ask_to_end_turn(uint64_t switches) noexcept {
    ends_turn_at_.store(switches, std::memory_order_release);
  }
  bool is_to_end_turn(uint64_t switches) const noexcept {
    return ends_turn_at_.load(std::memory_order_acquire) == switches && lasts(switches);
  }

  // Held by who asks and sends the signal, so that who ends the run gets none after that.
  SpinLock& lock() noexcept { return lock_; }
  // It is to be left alone from here on: before an exec, which a signal would outlive.
  void end() noexcept {
    SpinGuard guard(lock_);
    at_switch_.store(kNever, std::memory_order_seq_cst);
  }

  void reset_after_fork() noexcept {
    lock_.reset_after_fork();
    at_switch_.store(kNever, std::memory_order_relaxed);
  }

 private:
  static constexpr uint64_t kNever = UINT64_MAX;

  SpinLock lock_;
  std::atomic<uint64_t> at_switch_{kNever};
  std::atomic<uint64_t> gives_way_at_{kNever};
  std::atomic<uint64_t> ends_turn_at_{kNever};
  std::atomic<Deadline> began_{0};
  std::atomic<Deadline> protected_until_{0};
  Deadline owed_until_ = 0;
};

}  // namespace tendril::rt
