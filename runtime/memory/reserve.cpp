#include "runtime/memory/reserve.hpp"

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cstdint>

#include "runtime/memory/pages.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::rt {
namespace {

constexpr size_t kPages = 1024;
constexpr size_t kBytes = kPages * kPageSize;

constinit std::atomic<char*> base{nullptr};
constinit std::array<std::atomic<bool>, kPages> taken{};

void set_aside() noexcept {
  if (base.load(std::memory_order_acquire) != nullptr) return;
  auto* pages = static_cast<char*>(map_pages(kBytes));
  char* none = nullptr;
  if (pages != nullptr && !base.compare_exchange_strong(none, pages)) unmap_pages(pages, kBytes);
}

// All of [first, first + count), or none.
bool take(size_t first, size_t count) noexcept {
  for (size_t i = 0; i < count; ++i) {
    if (!taken[first + i].exchange(true, std::memory_order_acquire)) continue;
    while (i > 0) taken[first + --i].store(false, std::memory_order_release);
    return false;
  }
  return true;
}

void* take_from_reserve(size_t count) noexcept {
  char* const reserve = base.load(std::memory_order_acquire);
  if (reserve == nullptr) return nullptr;
  for (size_t first = 0; first + count <= kPages; ++first) {
    if (take(first, count)) return reserve + first * kPageSize;
  }
  return nullptr;
}

}  // namespace

void* map_vital_pages(size_t bytes) noexcept {
  set_aside();
  void* pages = map_pages(bytes);
  return pages != nullptr ? pages : take_from_reserve(round_up_to_page(bytes) / kPageSize);
}

void unmap_vital_pages(void* address, size_t bytes) noexcept {
  char* const reserve = base.load(std::memory_order_acquire);
  const auto offset = reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(reserve);
  if (reserve == nullptr || offset >= kBytes) return unmap_pages(address, bytes);
  // Whoever takes them next expects zeros.
  raw_syscall(SYS_madvise, address, round_up_to_page(bytes), MADV_DONTNEED);
  const size_t first = offset / kPageSize;
  for (size_t i = 0; i < round_up_to_page(bytes) / kPageSize; ++i) {
    taken[first + i].store(false, std::memory_order_release);
  }
}

}  // namespace tendril::rt
