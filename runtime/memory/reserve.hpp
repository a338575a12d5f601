// Address space kept back for times when there is none to be had.
//
// A thread that sleeps, or waits for a descriptor, needs no memory natively, so it must not fail or
// die for want of some here: what the runtime cannot do without once threads exist (timers, the
// states of descriptors, its small objects) comes from these pages when the kernel has no others.
// What makes new threads does not: it can say that there is no memory.
//
// Thread safety: any OS thread, without locks; a child of fork goes on with its copy.
#pragma once

#include <cstddef>

namespace tendril::rt {

// As map_pages, but null only if the reserve is used up as well. The first call sets it aside.
void* map_vital_pages(size_t bytes) noexcept;
void unmap_vital_pages(void* address, size_t bytes) noexcept;

}  // namespace tendril::rt
