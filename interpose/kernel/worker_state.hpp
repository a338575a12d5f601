// What interposition keeps for each worker (Worker::layer_data).
#pragma once

#include <signal.h>

#include <atomic>
#include <cstdint>

#include "runtime/hub/worker.hpp"

namespace tendril::kernel {

struct GreenThread;

// Signals that arrived on a worker and wait to be posted. One producer, the handler (which runs
// with all signals blocked), and one consumer, runtime code of the same worker.
struct SignalInbox {
  static constexpr uint32_t kSize = 256;
  struct Arrival {
    siginfo_t info;
    bool for_current;  // SIGPIPE: meant for the green thread that was running
    GreenThread* thread;
  };
  Arrival arrivals[kSize];
  std::atomic<uint32_t> head{0};       // next to read; written by the consumer
  std::atomic<uint32_t> tail{0};       // next to write; written by the producer
  std::atomic<bool> throttled{false};  // full: the kernel holds the rest back, see post_arrived
  bool empty() const noexcept {
    return head.load(std::memory_order_relaxed) == tail.load(std::memory_order_acquire);
  }
};

struct WorkerState {
  SignalInbox inbox;
  stack_t alternate_stack{};  // of this OS thread, for faults
};

// Posts what has arrived on the calling worker. Runtime code only.
void post_arrived_signals() noexcept;

inline WorkerState* state_of(rt::Worker* worker) noexcept {
  return static_cast<WorkerState*>(worker->layer_data);
}

}  // namespace tendril::kernel
