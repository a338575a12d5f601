#include "runtime/platform/thread_registers.hpp"

#include <asm/prctl.h>
#include <sys/auxv.h>

#include "runtime/platform/forgotten_fs_base.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::rt {

constinit thread_local bool on_worker = false;
constinit thread_local Worker* own_worker = nullptr;

bool has_fsgsbase() noexcept {
  constexpr unsigned long kHwcap2FsGsBase = 1UL << 1;
  return (getauxval(AT_HWCAP2) & kHwcap2FsGsBase) != 0;
}

bool fsgsbase_usable = has_fsgsbase();

void set_fs_base_by_kernel(uintptr_t base) noexcept {
  raw_syscall(SYS_arch_prctl, ARCH_SET_FS, base);
}

void set_gs_base(uintptr_t base) noexcept {
  if (fsgsbase_usable && !kernel_forgets_fs_base) {
    asm volatile("wrgsbase %0" ::"r"(base) : "memory");
  } else {
    raw_syscall(SYS_arch_prctl, ARCH_SET_GS, base);
  }
}

// The first word of the x86-64 TCB is its own address (the ABI's "self pointer").
uintptr_t get_fs_base() noexcept {
  uintptr_t base;
  asm volatile("movq %%fs:0, %0" : "=r"(base));
  return base;
}

namespace {

// Initial-exec: a variable lies at the same distance from every thread's FS base.
template <typename T>
volatile T& of_thread(T& own, uintptr_t fs_base) noexcept {
  const uintptr_t offset = reinterpret_cast<uintptr_t>(&own) - get_fs_base();
  return *reinterpret_cast<volatile T*>(fs_base + offset);
}

}  // namespace

void mark_on_worker(uintptr_t fs_base) noexcept {
  of_thread(on_worker, fs_base) = true;
  // A block that the program has made may have anything there.
  of_thread(own_worker, fs_base) = nullptr;
}

}  // namespace tendril::rt
