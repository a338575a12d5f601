// Settings of the shim, from the environment: TENDRIL_WORKERS, TENDRIL_STACK_SIZE, TENDRIL_STATS,
// TENDRIL_VERBOSE, TENDRIL_SLICE_US, TENDRIL_PATCH, TENDRIL_IO_URING, TENDRIL_SEED,
// TENDRIL_ON_DEADLOCK. The launcher has checked them; a shim that is preloaded by hand reads them
// too.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tendril::boot {

// TENDRIL_IO_URING=0: waits for shared futexes, and accept on sockets that other processes share,
// are offloaded; 1: left to a ring also where a filter of system calls was there before the first
// thread, which may let that through.
enum class IoUring : uint8_t { kNever, kUnlessFiltered, kAlways };

struct Settings {
  int workers = 1;
  size_t stack_size = 0;            // 0: what the program and the system say
  int slice_microseconds = 10'000;  // after this a green thread yields to others that are ready
  bool seeded = false;              // the schedule follows from the seed: one worker, no slices
  uint64_t seed = 0;
  bool patch = true;  // TENDRIL_PATCH=0: symbols and trap only
  IoUring io_uring = IoUring::kUnlessFiltered;
  bool exit_on_deadlock = false;
  bool statistics = false;
  bool verbose = false;
};

// Reads the environment at the first call.
const Settings& settings() noexcept;

}  // namespace tendril::boot
