// Asks the CPU for a cache line that will be needed in a moment, and for its page's translation.
#pragma once

namespace tendril::rt {

// Not __builtin_prefetch: GCC 12 takes a function that does nothing else for one without effects,
// and drops its calls.
inline void prefetch(const void* address) noexcept {
  asm volatile("prefetcht0 (%0)" ::"r"(address));
}

}  // namespace tendril::rt
