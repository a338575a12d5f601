// Stacks for what the runtime does when it has interrupted a thread in the midst of program code,
// and on which such a thread waits when others go on in its place.
//
// Natively there is no such interruption, so nothing of it may be written where the thread's stack
// pointer points: that may be a coroutine's small stack with no room left, or, in a thread whose
// handlers all have an alternate stack, memory full of data (as with Erlang's code). Nor on the
// alternate stack, which the thread may be on or give away meanwhile.
//
// No program code ever runs on one of them, so a thread has one at most.
#pragma once

#include "runtime/memory/stack_pool.hpp"

namespace tendril::kernel {

rt::StackPool& kick_stacks() noexcept;

// For the thread that runs on the calling worker. Empty when out of memory.
rt::Stack take_kick_stack() noexcept;

// The calling worker is about to leave it, by the return of a signal frame that lies there; until
// then signals are blocked. It is the worker's next one.
void leave_kick_stack(rt::Stack stack) noexcept;

}  // namespace tendril::kernel
