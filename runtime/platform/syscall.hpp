// Raw system calls: no errno, no cancellation point, no thread-local. The only way by which runtime
// code enters the kernel on a path that a green thread may take.
#pragma once

#include <sys/syscall.h>

#include <cstdint>
#include <type_traits>

// What enters the kernel with all registers in place. The shim defines it as a call of an
// instruction that lies where Syscall User Dispatch need not look at the selector, which saves a
// quarter of a short system call; it is compiled without a red zone, since a call writes there.
#ifndef TENDRIL_SYSCALL
#define TENDRIL_SYSCALL "syscall"
#endif

namespace tendril::rt {

// Returns the kernel's result: -errno on failure, as in the kernel's own tables.
[[gnu::always_inline]] inline long raw_syscall6(long number, long a, long b, long c, long d, long e,
                                                long f) noexcept {
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile(TENDRIL_SYSCALL
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

namespace detail {
template <typename T>
long to_register(T value) noexcept {
  if constexpr (std::is_pointer_v<T> || std::is_null_pointer_v<T>) {
    return reinterpret_cast<long>(static_cast<const volatile void*>(value));
  } else {
    return static_cast<long>(value);
  }
}
}  // namespace detail

template <typename... Args>
long raw_syscall(long number, Args... args) noexcept {
  static_assert(sizeof...(Args) <= 6);
  const long registers[6] = {detail::to_register(args)...};
  return raw_syscall6(number, registers[0], registers[1], registers[2], registers[3], registers[4],
                      registers[5]);
}

// For calls that do not wait: an EINTR is then a signal of ours (the kernel reports it even from a
// poll without a time limit) and none of the program's business.
template <typename... Args>
long raw_syscall_uninterrupted(long number, Args... args) noexcept {
  constexpr long kEintr = 4;
  for (;;) {
    const long result = raw_syscall(number, args...);
    if (result != -kEintr) return result;
  }
}

}  // namespace tendril::rt
