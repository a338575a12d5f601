// What the API knows of a fiber: embedded in the Task of a spawned one, a thread-local of the OS
// thread or green thread otherwise. Plain data; the functions are in runtime/sync.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>

#include "tendril/detail/sync_state.hpp"

namespace tendril::detail {

struct Task;
struct TimeoutRecord;
struct FiberRecord;

// A thread of the program: an OS thread, or a green one. Its fibers refer to it. From a type-stable
// pool, so that it may be looked at from anywhere; the number tells its successive users apart.
struct ThreadRecord {
  std::atomic<uint64_t> number{0};
  std::atomic<int> tid{0};
  const FiberRecord* own = nullptr;    // of the flow that the thread began with
  void (*greenlet_trace)() = nullptr;  // a GreenletTrace; the thread's own fibers only
  bool in_run_workers = false;         // the thread's own fibers only
};

struct FiberRecord {
  // Guards the fields marked (l), which others than the fiber itself write too.
  BiasedLock lock;
  // Something is to be thrown at the fiber's next wait: written under the lock, read without.
  std::atomic<bool> attention{false};
  uint32_t shields = 0;               // > 0: not now; own fiber only
  void* fiber = nullptr;              // (l) rt::Fiber; null when it is over
  std::exception_ptr thrown_in;       // (l)
  TimeoutRecord* timeouts = nullptr;  // (l) running Timeout scopes, newest first
  Task* task = nullptr;               // null: not a spawned fiber
  void* locals = nullptr;             // FiberLocal values; own fiber only
  ThreadRecord* thread = nullptr;     // the thread that it is of, handed on by spawning
  void* greenlet = nullptr;           // its Greenlet, if it is or has one; own OS thread only
};

// Of the calling fiber; makes the calling OS thread a worker if it is none.
FiberRecord& current_record();

}  // namespace tendril::detail
