// The watchdog of a worker group: an OS thread that looks every few milliseconds whether a worker
// is stuck in the kernel, in a call that nobody expected to block (a slow disk, a driver, a vfork
// child that takes its time), and then lets a spare worker stand in for it.
//
// A worker that computes is not stuck: its time slices end. So what counts is an OS thread that has
// made no switch between two looks, whose hub does not sleep, and which got next to no processor
// time meanwhile. (It may also have been ready all the time on a machine that has too much to do;
// the spare worker does no harm then.)
#pragma once

#include <atomic>
#include <cstdint>

#include "runtime/hub/bare_thread.hpp"

namespace tendril::rt {

class WorkerGroup;

class Watchdog {
 public:
  // Idempotent; without memory or threads there is no watchdog, and the next call tries again.
  void start(WorkerGroup* group) noexcept;
  bool is_started() const noexcept { return started_.load(std::memory_order_relaxed); }

  // A worker comes out of its sleep: it rests while all sleep. On that worker's OS thread.
  void somebody_woke() noexcept {
    if (resting_.load(std::memory_order_relaxed) != 0) end_rest();
    if (!started_.load(std::memory_order_relaxed)) start(group_);
  }

  // What its OS thread has of the process (credentials, say) is about to be old: spare workers must
  // not be made by it any more. It ends, and another is started by a worker.
  void retire() noexcept {
    stale_.store(true, std::memory_order_seq_cst);
    end_rest();
  }
  bool is_stale() const noexcept { return stale_.load(std::memory_order_seq_cst); }

  uint64_t blocked_workers_seen() const noexcept { return seen_.load(std::memory_order_relaxed); }

  void reset_after_fork() noexcept;

 private:
  static void main(void* argument);
  void end_rest() noexcept;
  // Returns whether anybody is awake.
  bool look() noexcept;

  WorkerGroup* group_ = nullptr;
  BareThread thread_;
  std::atomic<bool> started_{false};
  std::atomic<bool> stale_{false};
  std::atomic<uint32_t> resting_{0};  // futex
  uint32_t blocked_at_last_look_ = 0;
  std::atomic<uint64_t> seen_{0};  // workers that were found stuck, over time
};

}  // namespace tendril::rt
