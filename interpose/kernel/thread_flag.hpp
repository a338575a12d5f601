// Whether the running code is a green thread's program code: the first thing every hook asks.
#pragma once

#include <cstdint>

#include "runtime/platform/thread_registers.hpp"

namespace tendril::kernel {

// In the thread-local block of each green thread; false on hubs and on OS threads of libraries.
extern thread_local bool is_green_thread __attribute__((tls_model("initial-exec")));

// Sets it in the block of a thread that does not run yet.
inline void mark_green_thread(uintptr_t fs_base, bool value) noexcept {
  const intptr_t offset =
      reinterpret_cast<intptr_t>(&is_green_thread) - static_cast<intptr_t>(rt::get_fs_base());
  *reinterpret_cast<volatile bool*>(fs_base + static_cast<uintptr_t>(offset)) = value;
}

}  // namespace tendril::kernel
