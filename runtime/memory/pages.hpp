// Anonymous pages straight from the kernel.
#pragma once

#include <cstddef>

namespace tendril::rt {

inline constexpr size_t kPageSize = 4096;

constexpr size_t round_up_to_page(size_t bytes) noexcept {
  return (bytes + kPageSize - 1) & ~(kPageSize - 1);
}

// Zeroed, readable and writable, not counted against overcommit. Null when out of memory.
void* map_pages(size_t bytes) noexcept;
void unmap_pages(void* address, size_t bytes) noexcept;

// Makes whole pages of private, anonymous memory zeros again, by giving them up: those that were
// never written to are not even looked at.
void clear_pages(void* address, size_t bytes) noexcept;

}  // namespace tendril::rt
