#include "runtime/platform/forgotten_fs_base.hpp"

#include <sys/mman.h>

#include <cstring>

#include "runtime/platform/syscall.hpp"

namespace tendril::rt {

bool kernel_forgets_fs_base = false;

bool make_unreachable_fs_base(uintptr_t fs_base) noexcept {
  constexpr size_t kPage = 4096;
  constexpr size_t kThreadRecord = 2304;  // glibc's struct pthread
  auto* page = reinterpret_cast<char*>(kUnreachableFsBase);
  const long mapped = raw_syscall(SYS_mmap, page, kPage, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (mapped != static_cast<long>(kUnreachableFsBase)) {
    if (mapped > 0)
      raw_syscall(SYS_munmap, mapped, kPage);  // by a kernel that does not know the flag
    return false;
  }
  std::memcpy(page, reinterpret_cast<const void*>(fs_base), kThreadRecord);
  return raw_syscall(SYS_mprotect, page, kPage, PROT_NONE) == 0;
}

void tell_kernel_fs_base() noexcept {
  if (kernel_forgets_fs_base) set_fs_base_by_kernel(get_fs_base());
}

void withdraw_fs_base() noexcept {
  if (!kernel_forgets_fs_base || !fsgsbase_usable) return;
  const uintptr_t base = get_fs_base();
  set_fs_base_by_kernel(kUnreachableFsBase);
  set_fs_base(base);
}

}  // namespace tendril::rt
