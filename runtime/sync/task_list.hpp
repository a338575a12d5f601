// Spawned fibers as a whole: those of one OS thread, and where the API's fibers come from.
#pragma once

#include <cstddef>
#include <string_view>

#include "runtime/hub/park.hpp"
#include "tendril/detail/fiber_record.hpp"

namespace tendril::detail {

// The one place where the API makes fibers: on a stack of the pool, or with a thread identity of
// its own where the layer above wants that. stack_size 0: the default. Null when out of memory.
rt::Fiber* new_fiber(rt::FiberEntry entry, void* argument, size_t stack_size) noexcept;

// The calling thread, whose record this is, ends: kills its fibers, ends its greenlets, and waits
// until they are gone.
void end_fibers_of(const FiberRecord& record) noexcept;

// In the child of fork: another thread may have held these locks.
void stack_pools_reset_after_fork() noexcept;
void identities_reset_after_fork() noexcept;

// The copy for messages about fibers of whatever kind; cut where it is too long.
void name_fiber(rt::Fiber& fiber, std::string_view name) noexcept;

// A number for a new task, never given again.
uint64_t next_task_number() noexcept;

}  // namespace tendril::detail
