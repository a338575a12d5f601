#include "runtime/memory/allocator.hpp"

#include <cstdint>
#include <cstring>
#include <memory_resource>

#include "runtime/memory/pages.hpp"
#include "runtime/memory/reserve.hpp"
#include "runtime/platform/process_wide.hpp"
#include "runtime/platform/spin_lock.hpp"

namespace tendril::rt {
namespace {

class PageResource final : public std::pmr::memory_resource {
  void* do_allocate(size_t bytes, size_t) override {
    void* pages = map_vital_pages(round_up_to_page(bytes));
    if (pages == nullptr) throw std::bad_alloc();
    return pages;
  }
  void do_deallocate(void* address, size_t bytes, size_t) override {
    unmap_vital_pages(address, round_up_to_page(bytes));
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
    return this == &other;
  }
};

// Every block carries its size, because libuv frees without telling it.
struct alignas(16) BlockHeader {
  size_t bytes;
};
static_assert(sizeof(BlockHeader) == 16);

struct Heap {
  SpinLock lock;
  PageResource pages;
  std::pmr::unsynchronized_pool_resource pool{
      std::pmr::pool_options{.max_blocks_per_chunk = 256, .largest_required_pool_block = 16384},
      &pages};
};

Heap& heap() noexcept { return ProcessWide<Heap>::get(); }

}  // namespace

void* runtime_allocate(size_t bytes) noexcept {
  Heap& h = heap();
  const size_t total = bytes + sizeof(BlockHeader);
  if (total < bytes) return nullptr;
  SpinGuard guard(h.lock);
  try {
    auto* header = static_cast<BlockHeader*>(h.pool.allocate(total, alignof(BlockHeader)));
    header->bytes = total;
    return header + 1;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void runtime_free(void* pointer) noexcept {
  if (pointer == nullptr) return;
  auto* header = static_cast<BlockHeader*>(pointer) - 1;
  Heap& h = heap();
  SpinGuard guard(h.lock);
  h.pool.deallocate(header, header->bytes, alignof(BlockHeader));
}

void* runtime_reallocate(void* pointer, size_t bytes) noexcept {
  if (pointer == nullptr) return runtime_allocate(bytes);
  const size_t old_bytes = (static_cast<BlockHeader*>(pointer) - 1)->bytes - sizeof(BlockHeader);
  if (bytes <= old_bytes && bytes * 2 > old_bytes) return pointer;
  void* fresh = runtime_allocate(bytes);
  if (fresh == nullptr) return nullptr;
  std::memcpy(fresh, pointer, bytes < old_bytes ? bytes : old_bytes);
  runtime_free(pointer);
  return fresh;
}

void* runtime_allocate_zeroed(size_t count, size_t bytes) noexcept {
  size_t total;
  if (__builtin_mul_overflow(count, bytes, &total)) return nullptr;
  void* memory = runtime_allocate(total);
  if (memory != nullptr) std::memset(memory, 0, total);
  return memory;
}

SpinLock& runtime_allocator_lock() noexcept { return heap().lock; }

void runtime_allocator_reset_after_fork() noexcept { heap().lock.reset_after_fork(); }

}  // namespace tendril::rt
