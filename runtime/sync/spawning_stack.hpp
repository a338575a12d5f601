// The stack of who spawned a fiber, remembered when the program asks for that.
#pragma once

#include <atomic>
#include <cstddef>

#include "tendril/detail/task.hpp"

namespace tendril::detail {

struct SpawningStack {
  int count;
  void* frames[];  // return addresses, innermost first
};

// How many frames of it; 0: none.
extern std::atomic<size_t> spawning_stack_limit;

// Of the caller's caller. Throws std::bad_alloc.
SpawningStack* remember_spawning_stack(size_t limit);
void forget_spawning_stack(SpawningStack* stack) noexcept;

}  // namespace tendril::detail
