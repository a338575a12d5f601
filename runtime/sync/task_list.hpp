// Spawned fibers as a whole: those of one OS thread, and where the API's fibers come from.
#pragma once

#include <cstddef>

#include "runtime/hub/park.hpp"

namespace tendril::detail {

// The one place where the API makes fibers: on a stack of the pool, or with a thread identity of
// its own where the layer above wants that. stack_size 0: the default. Null when out of memory.
rt::Fiber* new_fiber(rt::FiberEntry entry, void* argument, size_t stack_size) noexcept;

// Kills the spawned fibers of the calling OS thread and waits until they have ended.
void kill_all_here() noexcept;

// A number for a new task, never given again.
uint64_t next_task_number() noexcept;

}  // namespace tendril::detail
