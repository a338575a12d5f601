// What happens when everything waits and nothing can wake it: LoopExit.
#pragma once

#include "runtime/fiber/fiber.hpp"
#include "tendril/detail/fiber_record.hpp"

namespace tendril::detail {

// Called when a thread, or an object, is first used.
void watch_for_dead_ends() noexcept;

// Called when a worker has been released because its OS thread, the caller, ends.
void look_for_dead_end_at_thread_end() noexcept;

// OS threads of the runtime that wake nobody by themselves have come (1) or gone (-1).
void count_harmless_thread(int change) noexcept;

// After a wait of the running fiber was interrupted: true if that was because of a dead end. Once.
bool is_at_dead_end(const rt::Fiber* self) noexcept;

// LoopExit; what it says is put together here, where memory may be had.
[[noreturn]] void throw_loop_exit(const FiberRecord& record);

}  // namespace tendril::detail
