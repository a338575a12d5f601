// The rights of the running thread to memory with a protection key (pkeys(7)): two bits for each of
// 16 keys in the register PKRU, which programs write as they like.
#pragma once

#include <cpuid.h>

#include <cstdint>

namespace tendril::rt {

// What Linux gives the first thread of a process, and signal handlers: key 0 only, that of memory
// that has been given no other.
inline constexpr uint32_t kInitialKeyRights = 0x55555554;
inline constexpr uint32_t kMostKeys = 16;

constexpr uint32_t key_rights_mask(uint32_t key) noexcept { return uint32_t{3} << (2 * key); }

// Without them the two instructions below do not exist.
inline bool has_protection_keys() noexcept {
  constexpr unsigned kEnabledBySystem = 1U << 4;
  unsigned a;
  unsigned b;
  unsigned c;
  unsigned d;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (c & kEnabledBySystem) != 0;
}

inline uint32_t read_key_rights() noexcept {
  uint32_t rights;
  uint32_t zero;
  asm volatile("rdpkru" : "=a"(rights), "=d"(zero) : "c"(0));
  return rights;
}

inline void write_key_rights(uint32_t rights) noexcept {
  asm volatile("wrpkru" ::"a"(rights), "d"(0), "c"(0) : "memory");
}

}  // namespace tendril::rt
