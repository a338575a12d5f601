// The hub of the calling OS thread: the libuv loop that runs beside the fibers, and a look at them.
// (gevent: get_hub, hub.loop, util.print_run_info)
#pragma once

#include <string>

#include "tendril/time.hpp"

struct uv_loop_s;

namespace tendril {

class Hub {
 public:
  // The libuv loop of this OS thread, made at first use: handles on it run beside the fibers, their
  // callbacks on the hub, where nothing may block (BlockingInHub) and nothing may be thrown. Use it
  // from this OS thread only and never run it yourself. Throws std::system_error.
  uv_loop_s* loop() const;

  // Waits until every spawned fiber of this OS thread but the calling one has ended: false if the
  // timeout passed first. (gevent: hub.join)
  bool join(Duration timeout = kForever) const;
};

Hub this_hub();

// The spawned fibers of the calling OS thread as a tree of who spawned whom, one a line: name,
// where it was spawned, what it waits for.
std::string fiber_tree();

}  // namespace tendril
