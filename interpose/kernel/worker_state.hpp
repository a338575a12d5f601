// What interposition keeps for each worker (Worker::layer_data).
#pragma once

#include <signal.h>

#include <atomic>
#include <cstdint>

#include "runtime/hub/worker.hpp"
#include "runtime/hub/worker_group.hpp"
#include "runtime/memory/stack_pool.hpp"

namespace tendril::kernel {

// Signals that arrived on a worker and wait to be posted. One producer, the handler (which runs
// with all signals blocked), and one consumer, runtime code of the same worker.
struct SignalInbox {
  static constexpr uint32_t kSize = 256;
  struct Arrival {
    siginfo_t info;
    int tid;  // the green thread that it is meant for (SIGPIPE: the one that ran); 0: the process
    int preferred;     // of those who may take what is the process's: by the Linux kernel's choice
    bool had_handler;  // when it left the kernel
  };
  Arrival arrivals[kSize];
  std::atomic<uint32_t> head{0};       // next to read; written by the consumer
  std::atomic<uint32_t> tail{0};       // next to write; written by the producer
  std::atomic<bool> throttled{false};  // full: the kernel holds the rest back, see post_arrived
  // The standard signals for the process that are among them, a bit each. One more of those is
  // none, as with one that is pending: a fast timer would fill the box while its owner has to wait.
  std::atomic<uint64_t> standard{0};
  bool empty() const noexcept {
    return head.load(std::memory_order_relaxed) == tail.load(std::memory_order_acquire);
  }
};

struct WorkerState {
  SignalInbox inbox;
  // The round of call_on_other_workers that this one took part in last.
  std::atomic<uint32_t> calls_made{0};
  // The kernel's mask is the program's for now, in an exec: our handlers leave it as it is.
  bool has_program_mask = false;
  stack_t alternate_stack{};  // of this OS thread, for faults and signals
  rt::Stack kick_stack;       // the one that was left here last, see kick_stacks.hpp
  // Where the FS base was last found lost, and how often there in a row (hidden_fsgsbase.cpp).
  struct {
    long rip = 0, rsp = 0;
    int times = 0;
  } lost_base;
  int slice_timer = -1;  // ticks for it; -1: none does
  rt::Nanoseconds slice_tick = 0;
};

// Posts what has arrived on the calling worker. Runtime code only.
void post_arrived_signals() noexcept;

// The workers of this process.
rt::WorkerGroup& workers() noexcept;

// Some things belong to OS threads where the program thinks of the process, credentials for one.
// Makes every other worker do the native call too, wherever it is, and returns when all have. A
// signal handler does it there (take_part_in_call), so no worker may be waited for that has them
// blocked and waits for the caller.
void call_on_other_workers(long number, const long (&arguments)[6]) noexcept;
// The same of one after the other, until one has another result than `refusal`; that result. One
// that waits for its child of vfork is asked last, and not if it is not worth to wait for.
struct Call;
long ask_other_workers(const Call& call, long refusal,
                       bool (*is_worth_waiting_for)(const Call& call,
                                                    const rt::Worker& worker)) noexcept;
void take_part_in_call() noexcept;
void skip_earlier_calls(WorkerState* fresh) noexcept;

// In their handlers the other workers take over what has changed: the kernel mask.
void kick_other_workers() noexcept;

// The calling worker takes it over.
void take_over_kernel_mask() noexcept;

// Until a frame returns, or take_over_kernel_mask. Of faults and SIGSYS none is held: the kernel
// kills who raises one that is blocked.
void hold_signals_until_return() noexcept;

// Held while such a round runs, and around fork.
rt::SpinLock& worker_calls_lock() noexcept;

inline WorkerState* state_of(rt::Worker* worker) noexcept {
  return static_cast<WorkerState*>(worker->layer_data);
}

}  // namespace tendril::kernel
