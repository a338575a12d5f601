// mmap(2), mprotect(2), munmap(2), mremap(2): the Linux kernel's, but for thread stacks.
#include <sys/mman.h>

#include <utility>

#include "interpose/kernel/stack_arena.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/thread_flag.hpp"
#include "runtime/memory/pages.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {

// How glibc asks for a stack, and hardly anybody else: inaccessible at first, anywhere.
long sys_mmap(Call& call) {
  const long* a = call.arguments;
  constexpr long kStackFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK;
  if (a[0] == 0 && a[2] == PROT_NONE && a[3] == kStackFlags) {
    void* stack =
        stack_arenas().take(static_cast<size_t>(a[1]), std::exchange(is_making_thread, false));
    if (stack != nullptr) return reinterpret_cast<long>(stack);
  }
  if ((a[3] & MAP_FIXED) != 0) {
    stack_arenas().replaced(static_cast<uintptr_t>(a[0]), static_cast<size_t>(a[1]));
  }
  return pass(call);
}

long sys_mprotect(Call& call) {
  const long* a = call.arguments;
  const bool done = stack_arenas().protect(static_cast<uintptr_t>(a[0]), static_cast<size_t>(a[1]),
                                           static_cast<int>(a[2]));
  return done ? 0 : pass(call);
}

long sys_munmap(Call& call) {
  const long* a = call.arguments;
  const bool done = stack_arenas().unmap(static_cast<uintptr_t>(a[0]), static_cast<size_t>(a[1]));
  return done ? 0 : pass(call);
}

long sys_mremap(Call& call) {
  const long* a = call.arguments;
  stack_arenas().replaced(static_cast<uintptr_t>(a[0]), static_cast<size_t>(a[1]));
  if ((a[3] & MREMAP_FIXED) != 0) {
    stack_arenas().replaced(static_cast<uintptr_t>(a[4]), static_cast<size_t>(a[2]));
  }
  return pass(call);
}

}  // namespace tendril::kernel
