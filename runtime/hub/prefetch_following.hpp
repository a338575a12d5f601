// What a switch asks of the CPU's caches beforehand.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/fiber/fiber.hpp"
#include "runtime/platform/prefetch.hpp"

namespace tendril::rt {

// Among thousands of connections whoever runs next finds everything cold: its record, its frames,
// its thread-locals. That is a tenth of what a request costs, so it comes while others run: the
// record of the next but two, and what the record of the next but one leads to.
inline __attribute__((always_inline)) void prefetch_following(const Fiber* next_but_one,
                                                              uintptr_t fs_base_here) noexcept {
  if (next_but_one == nullptr) return;
  constexpr size_t kLine = 64;
  constexpr size_t kSavedRegisters = kLine;
  constexpr size_t kRedZone = 128;  // which nobody reads
  constexpr size_t kFrames = 768;   // up to the program's, in a hook that waits for a descriptor
  const auto* top = static_cast<const char*>(next_but_one->handle);
  prefetch(top);
  for (size_t at = kSavedRegisters + kRedZone; at < kFrames; at += kLine) prefetch(top + at);
  if (next_but_one->fs_base != fs_base_here) {  // a green thread
    const auto* block = reinterpret_cast<const char*>(next_but_one->fs_base);
    for (const int offset : {-128, -64, 0, 0x300}) prefetch(block + offset);
    prefetch(next_but_one->owner);
    prefetch(static_cast<const char*>(next_but_one->owner) + kLine - 1);
  }
  if (const Fiber* behind = next_but_one->next_ready) {
    prefetch(behind);
    prefetch(reinterpret_cast<const char*>(behind) + kLine);
  }
}

}  // namespace tendril::rt
