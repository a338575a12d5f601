// What the running thread's own block says of it: whether it is green, the first thing every hook
// asks, and whether it makes another.
#pragma once

#include <cstdint>

#include "runtime/platform/thread_registers.hpp"

namespace tendril::kernel {

// In the thread-local block of each green thread; false on hubs and on OS threads of libraries.
extern thread_local bool is_green_thread __attribute__((tls_model("initial-exec")));

// In the C library's pthread_create: the stack that is asked for next is a thread's.
extern thread_local bool is_making_thread __attribute__((tls_model("initial-exec")));

// Sets is_green_thread in the block of a thread that does not run yet.
inline void mark_green_thread(uintptr_t fs_base, bool value) noexcept {
  const intptr_t offset =
      reinterpret_cast<intptr_t>(&is_green_thread) - static_cast<intptr_t>(rt::get_fs_base());
  *reinterpret_cast<volatile bool*>(fs_base + static_cast<uintptr_t>(offset)) = value;
}

}  // namespace tendril::kernel
