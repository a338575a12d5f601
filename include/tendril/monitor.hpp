// Watches the process from an OS thread of its own: fibers that keep a thread from all others, and
// memory. (gevent: GEVENT_MONITOR_THREAD_ENABLE, events.EventLoopBlocked,
// events.MemoryUsageThresholdExceeded)
//
//   tendril::Monitor monitor({.longest_blocking = 50ms});
//
// In an interposed process a fiber that computes is preempted and blocks nobody: there only memory
// is of interest.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tendril/fiber.hpp"
#include "tendril/time.hpp"

namespace tendril {

// A fiber has run for so long without waiting or yielding. (gevent: EventLoopBlocked)
struct HubBlocked {
  FiberHandle fiber;  // empty if it was not spawned
  std::string name;   // with the place where it was spawned
  int thread;         // tid
  Duration blocked_for;
  std::vector<std::string> stack;  // innermost first; empty unless a signal was given for it
};

struct MemoryUsage {
  size_t resident;  // bytes
  size_t limit;
  bool exceeded;  // else it was, and is not any more
};

struct MonitorOptions {
  // A fiber that runs longer is reported, once; kForever: none is.
  Duration longest_blocking = std::chrono::milliseconds(100);
  // Bytes of resident memory beyond which it is reported, once, and when it is below again; 0: no.
  size_t most_memory = 0;
  Duration memory_period = std::chrono::seconds(5);
  // A signal that the program does not use (SIGURG, say): the blocked thread is interrupted by it
  // to write its stack down. 0: no stacks.
  int stack_signal = 0;
  // Called on the monitor's thread; must neither wait for fibers nor throw. None: one message on
  // stderr.
  std::function<void(const HubBlocked&)> on_blocked = nullptr;
  std::function<void(const MemoryUsage&)> on_memory = nullptr;
};

// From its construction to its destruction.
class Monitor {
 public:
  // Throws std::system_error if there is no thread to be had.
  explicit Monitor(MonitorOptions options = {});
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

 private:
  class Watch;
  std::unique_ptr<Watch> watch_;
};

// Resident memory of the process in bytes.
size_t resident_memory();

}  // namespace tendril
