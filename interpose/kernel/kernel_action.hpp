// What the Linux kernel does for a signal, by its own call.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {

inline constexpr size_t kSetSize = 8;  // of its set of signals

// struct sigaction as the system call takes it.
struct KernelAction {
  void* handler = nullptr;
  unsigned long flags = 0;
  void* restorer = nullptr;
  uint64_t mask = 0;
};

inline long kernel_sigaction(int signal, const KernelAction* wanted, KernelAction* old) noexcept {
  return rt::raw_syscall(SYS_rt_sigaction, signal, wanted, old, kSetSize);
}

}  // namespace tendril::kernel
