// Questions about the process's memory mappings.
#pragma once

namespace tendril::kernel {

// True if the address lies in a MAP_SHARED mapping, so that another process may see it. Asks the
// kernel (PROCMAP_QUERY of Linux 6.11, about 1 µs; else reads /proc/self/maps), and may say so for
// a while of a place that the program has put private memory to since: whoever waits for a word
// there waits in the kernel, which is slower and means the same.
bool is_shared_mapping(const void* address) noexcept;

// In the child of fork: the descriptor that the answers come from is the parent's.
void mappings_reset_after_fork() noexcept;

}  // namespace tendril::kernel
