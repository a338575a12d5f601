// The hub of the calling OS thread: the libuv loop that runs beside the fibers, and a look at
// fibers. (gevent: get_hub, hub.loop, util.print_run_info)
#pragma once

#include <exception>
#include <source_location>
#include <string>
#include <vector>

#include "tendril/fiber.hpp"
#include "tendril/time.hpp"

struct uv_loop_s;

namespace tendril {

class Hub {
 public:
  // The libuv loop of this OS thread, made at first use: handles on it run beside the fibers, their
  // callbacks on the hub, where nothing may block (BlockingInHub) and nothing may be thrown. Use it
  // from this OS thread only and never run it yourself. Throws std::system_error.
  uv_loop_s* loop() const;

  // Waits until every spawned fiber of this thread but the calling one has ended: false if the
  // timeout passed first. (gevent: hub.join)
  bool join(Duration timeout = kForever) const;
};

Hub this_hub();

// What becomes of exceptions that nobody gets: `what` says which fiber they left, or where else
// they came up. The hook may run on any OS thread, in the fiber that dropped the last handle; what
// it throws is ignored. None: one message on stderr. (gevent: hub.handle_error)
using ErrorHook = void (*)(const std::exception_ptr& error, const std::string& what);
ErrorHook set_error_hook(ErrorHook hook) noexcept;  // of the process; returns the one before

enum class FiberState { kNew, kReady, kRunning, kWaiting };
const char* name_of(FiberState state) noexcept;  // "not begun", "ready", "running", "waits"

// A fiber, as it was when somebody looked.
struct FiberInfo {
  FiberHandle fiber;  // empty if it was not spawned: what a thread began with, or a greenlet
  std::string name;
  FiberState state;
  const char* waits_for;  // "queue", "sleep", …; "" if it does not wait
  const void* object;     // that it waits for, where there is one
  std::source_location spawned_at;
  unsigned long number;      // never given again; 0 if it was not spawned
  unsigned long spawned_by;  // number of the fiber that did; 0: not a spawned one
  int thread;                // it belongs to the thread with this tid
};

enum class Threads { kThis, kAll };

// The fibers of the calling thread, or of all threads that have used the API.
std::vector<FiberInfo> list_fibers(Threads threads = Threads::kAll);

// How many frames of its spawner's stack each fiber remembers that is spawned from now on, on any
// thread; at most 64. At first 0, since it makes a spawn several times as dear. Returns what it was
// before. (gevent: Greenlet.spawning_stack_limit)
size_t set_spawning_stack_limit(size_t frames) noexcept;

// The spawned fibers as a tree of who spawned whom, one a line: name, where it was spawned, what it
// waits for. Of all threads: below a line for each. (gevent: util.format_run_info)
std::string fiber_tree(Threads threads = Threads::kThis);

}  // namespace tendril
