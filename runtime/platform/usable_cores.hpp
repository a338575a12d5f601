// How many processors this process may use at the same time.
#pragma once

namespace tendril::rt {

// The calling thread's affinity, bounded by the CPU quota of its cgroup and of those above it
// (version 2 or 1), rounded up. At least 1. Reads files: not for hot paths.
unsigned usable_cores() noexcept;

}  // namespace tendril::rt
