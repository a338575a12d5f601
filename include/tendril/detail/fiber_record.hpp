// What the API knows of a fiber: embedded in the Task of a spawned one, a thread-local of the OS
// thread or green thread otherwise. Plain data; the functions are in runtime/sync.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>

namespace tendril::detail {

struct Task;
struct TimeoutRecord;

struct FiberRecord {
  // Guards the fields marked (l), which others than the fiber itself write too.
  std::atomic<bool> lock{false};
  // Something is to be thrown at the fiber's next wait: written under the lock, read without.
  std::atomic<bool> attention{false};
  uint32_t shields = 0;               // > 0: not now; own fiber only
  void* fiber = nullptr;              // (l) rt::Fiber; null when it is over
  std::exception_ptr thrown_in;       // (l)
  TimeoutRecord* timeouts = nullptr;  // (l) running Timeout scopes, newest first
  Task* task = nullptr;               // null: not a spawned fiber
  void* locals = nullptr;             // FiberLocal values; own fiber only
  // Which thread of the program it is of: that thread's own record, handed on by spawning.
  const void* family = nullptr;
  void* greenlet = nullptr;  // its Greenlet, if it is or has one; own OS thread only
};

// Of the calling fiber; makes the calling OS thread a worker if it is none.
FiberRecord& current_record();

}  // namespace tendril::detail
