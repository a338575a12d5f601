// Advice to the kernel about many places at once.
#pragma once

#include <sys/uio.h>

#include <cstddef>

namespace tendril::rt {

inline constexpr size_t kPlacesAtOnce = 64;

// madvise(2) of these places, at most kPlacesAtOnce, in as few calls as the kernel allows. Returns
// how many of them, from the first on, have got it. Thread-safe.
size_t advise_places(const iovec* places, size_t count, int advice) noexcept;

// The same of `bytes` bytes at first, first + stride, … any number of places.
size_t advise_each(char* first, size_t stride, size_t count, size_t bytes, int advice) noexcept;

// Pages that will be written soon: one call instead of a page fault for each, which costs some 0.7
// µs on a CPU of one's own and ten to twenty in some virtual machines. A hint: what cannot be had
// now is left to the faults.
void fill_pages(void* first, size_t bytes) noexcept;

}  // namespace tendril::rt
