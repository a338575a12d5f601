#include "runtime/memory/pages.hpp"

#include <sys/mman.h>

#include "runtime/platform/syscall.hpp"

namespace tendril::rt {

void* map_pages(size_t bytes) noexcept {
  const long result = raw_syscall(SYS_mmap, nullptr, bytes, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return result < 0 && result > -4096 ? nullptr : reinterpret_cast<void*>(result);
}

void unmap_pages(void* address, size_t bytes) noexcept { raw_syscall(SYS_munmap, address, bytes); }

void clear_pages(void* address, size_t bytes) noexcept {
  // Refused for memory that is locked.
  if (raw_syscall(SYS_madvise, address, bytes, MADV_DONTNEED) != 0) {
    __builtin_memset(address, 0, bytes);
  }
}

}  // namespace tendril::rt
