// The string functions that the core and the shim call, by name or because the compiler makes a
// call of a copy, bound within each library (see
// docs/decisions/0009-a-core-without-the-cpp-runtime.md). libc's may be replaced by the program's:
// a sanitizer's are not ready when the shim is asked first, and know nothing of our threads.
#include <emmintrin.h>

#include <cstddef>
#include <cstdint>

// <cstring> is not included: some of its declarations have C++ overloads, and go by another name.
// A loop here must not be made the call of the function that it is (clang leaves it alone if
// freestanding).
#ifndef __clang__
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

#define TENDRIL_PRIVATE extern "C" __attribute__((visibility("hidden")))

namespace {

using uint64_any [[gnu::may_alias, gnu::aligned(1)]] = uint64_t;
using uint32_any [[gnu::may_alias, gnu::aligned(1)]] = uint32_t;
using uint16_any [[gnu::may_alias, gnu::aligned(1)]] = uint16_t;

// From here on the processor's own string instruction is no slower than a loop.
constexpr size_t kByInstruction = 256;

// The beginning and the end, as one piece each: they overlap, so all is read before anything is
// written.
template <class Piece>
inline void copy_ends(char* to, const char* from, size_t size) noexcept {
  const Piece first = *reinterpret_cast<const Piece*>(from);
  const Piece last = *reinterpret_cast<const Piece*>(from + size - sizeof(Piece));
  *reinterpret_cast<Piece*>(to) = first;
  *reinterpret_cast<Piece*>(to + size - sizeof(Piece)) = last;
}

inline void copy_up_to_16(char* to, const char* from, size_t size) noexcept {
  if (size >= 8) return copy_ends<uint64_any>(to, from, size);
  if (size >= 4) return copy_ends<uint32_any>(to, from, size);
  if (size >= 2) return copy_ends<uint16_any>(to, from, size);
  if (size == 1) *to = *from;
}

inline __m128i load(const char* from) noexcept {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}

inline void store(char* to, __m128i piece) noexcept {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), piece);
}

// More than 16 bytes, from the first to the last: right if `to` lies before `from`, or they are
// apart.
inline void copy_upwards(char* to, const char* from, size_t size) noexcept {
  if (size >= kByInstruction) {
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
    return;
  }
  const __m128i last = load(from + size - 16);
  char* const to_last = to + size - 16;
  for (; to < to_last; to += 16, from += 16) store(to, load(from));
  store(to_last, last);
}

// More than 16 bytes, from the last to the first.
inline void copy_downwards(char* to, const char* from, size_t size) noexcept {
  const __m128i first = load(from);
  size_t rest = size;
  for (; rest > 16; rest -= 16) store(to + rest - 16, load(from + rest - 16));
  store(to, first);
}

inline unsigned char byte(const char* at) noexcept { return static_cast<unsigned char>(*at); }

inline size_t length_of(const char* text) noexcept {
  size_t length = 0;
  while (text[length] != '\0') ++length;
  return length;
}

inline bool begins_with(const char* text, const char* beginning, size_t size) noexcept {
  for (size_t i = 0; i < size; ++i) {
    if (text[i] != beginning[i]) return false;
  }
  return true;
}

inline const char* find_byte(const char* bytes, char wanted, size_t size) noexcept {
  for (size_t i = 0; i < size; ++i) {
    if (bytes[i] == wanted) return bytes + i;
  }
  return nullptr;
}

inline const char* find_part(const char* bytes, size_t size, const char* part,
                             size_t part_size) noexcept {
  for (; size >= part_size; ++bytes, --size) {
    if (begins_with(bytes, part, part_size)) return bytes;
  }
  return nullptr;
}

}  // namespace

TENDRIL_PRIVATE void* memmove(void* to, const void* from, size_t size) noexcept {
  auto* target = static_cast<char*>(to);
  const auto* source = static_cast<const char*>(from);
  if (size <= 16) {
    copy_up_to_16(target, source, size);
  } else if (static_cast<size_t>(target - source) >= size) {
    copy_upwards(target, source, size);
  } else {
    copy_downwards(target, source, size);
  }
  return to;
}

TENDRIL_PRIVATE void* memcpy(void* to, const void* from, size_t size) noexcept {
  if (size <= 16) {
    copy_up_to_16(static_cast<char*>(to), static_cast<const char*>(from), size);
  } else {
    copy_upwards(static_cast<char*>(to), static_cast<const char*>(from), size);
  }
  return to;
}

TENDRIL_PRIVATE void* memset(void* to, int value, size_t size) noexcept {
  auto* target = static_cast<char*>(to);
  if (size >= kByInstruction) {
    asm volatile("rep stosb" : "+D"(target), "+c"(size) : "a"(value) : "memory");
    return to;
  }
  if (size >= 16) {
    const __m128i piece = _mm_set1_epi8(static_cast<char>(value));
    char* const last = target + size - 16;
    for (; target < last; target += 16) store(target, piece);
    store(last, piece);
    return to;
  }
  for (size_t i = 0; i < size; ++i) target[i] = static_cast<char>(value);
  return to;
}

TENDRIL_PRIVATE int memcmp(const void* one, const void* other, size_t size) noexcept {
  const auto* a = static_cast<const char*>(one);
  const auto* b = static_cast<const char*>(other);
  for (size_t i = 0; i < size; ++i) {
    if (a[i] != b[i]) return byte(a + i) - byte(b + i);
  }
  return 0;
}

TENDRIL_PRIVATE void* memchr(const void* bytes, int wanted, size_t size) noexcept {
  return const_cast<char*>(
      find_byte(static_cast<const char*>(bytes), static_cast<char>(wanted), size));
}

TENDRIL_PRIVATE void* memmem(const void* bytes, size_t size, const void* part,
                             size_t part_size) noexcept {
  return const_cast<char*>(
      find_part(static_cast<const char*>(bytes), size, static_cast<const char*>(part), part_size));
}

TENDRIL_PRIVATE size_t strlen(const char* text) noexcept { return length_of(text); }

TENDRIL_PRIVATE int strncmp(const char* one, const char* other, size_t size) noexcept {
  for (size_t i = 0; i < size; ++i) {
    if (one[i] != other[i] || one[i] == '\0') return byte(one + i) - byte(other + i);
  }
  return 0;
}

TENDRIL_PRIVATE int strcmp(const char* one, const char* other) noexcept {
  while (*one == *other && *one != '\0') ++one, ++other;
  return byte(one) - byte(other);
}

TENDRIL_PRIVATE char* strchr(const char* text, int wanted) noexcept {
  return const_cast<char*>(find_byte(text, static_cast<char>(wanted), length_of(text) + 1));
}

TENDRIL_PRIVATE char* strrchr(const char* text, int wanted) noexcept {
  for (size_t end = length_of(text) + 1; end > 0; --end) {
    if (text[end - 1] == static_cast<char>(wanted)) return const_cast<char*>(text + end - 1);
  }
  return nullptr;
}

TENDRIL_PRIVATE char* strstr(const char* text, const char* part) noexcept {
  return const_cast<char*>(find_part(text, length_of(text), part, length_of(part)));
}

TENDRIL_PRIVATE char* stpcpy(char* to, const char* from) noexcept {
  while ((*to = *from) != '\0') ++to, ++from;
  return to;
}
