// Access to the program's memory by addresses that it gave us: a bad one gives EFAULT, as from the
// kernel, never a crash of ours.
//
// The copy is one instruction with a fix-up: when it faults, the SIGSEGV handler (see
// interpose/trap/fault.cpp) sees the instruction pointer in the copy routine and lets it return the
// number of bytes left.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>

extern "C" {
// Returns the bytes that could not be copied: 0 on success.
size_t tendril_user_copy(void* to, const void* from, size_t bytes);
// *word, or -EFAULT; and compare-and-swap: 0 with *seen set, or -EFAULT.
// Whole or not at all, where a copy might end in the middle.
long tendril_user_store64(void* word, uint64_t value);
long tendril_user_load32(const uint32_t* word, uint32_t* value);
long tendril_user_cas32(uint32_t* word, uint32_t expected, uint32_t desired, uint32_t* seen);
extern const char tendril_user_code_begin[];
extern const char tendril_user_code_end[];
extern const char tendril_user_copy_fixup[];
extern const char tendril_user_word_fixup[];
extern const char tendril_user_word_begin[];
}

namespace tendril::kernel {

// 0 or -EFAULT.
template <typename T>
long copy_in(T* to, const void* from) noexcept {
  return tendril_user_copy(to, from, sizeof(T)) == 0 ? 0 : -EFAULT;
}
template <typename T>
long copy_out(void* to, const T& from) noexcept {
  return tendril_user_copy(to, &from, sizeof(T)) == 0 ? 0 : -EFAULT;
}
inline long copy_in_bytes(void* to, const void* from, size_t bytes) noexcept {
  return tendril_user_copy(to, from, bytes) == 0 ? 0 : -EFAULT;
}
inline long copy_out_bytes(void* to, const void* from, size_t bytes) noexcept {
  return tendril_user_copy(to, from, bytes) == 0 ? 0 : -EFAULT;
}

// True if the Linux kernel refuses the range before it looks at anything else (access_ok, and sizes
// that are negative).
inline bool is_impossible_range(const void* data, size_t size) noexcept {
  constexpr uintptr_t kEnd = 0x7ffffffff000;
  const auto begin = reinterpret_cast<uintptr_t>(data);
  return begin > kEnd || size > kEnd - begin;
}

}  // namespace tendril::kernel
