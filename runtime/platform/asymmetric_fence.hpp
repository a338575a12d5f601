// A fence that one side pays for both: what is done often on one OS thread needs a compiler barrier
// only where what is done rarely on another one makes every CPU pass a fence (membarrier).
#pragma once

namespace tendril::rt {

// False if the kernel has no such call: then both sides need fences of their own.
bool can_fence_all_threads() noexcept;

// Every running thread of the process has passed a full fence when this returns.
void fence_all_threads() noexcept;

}  // namespace tendril::rt
