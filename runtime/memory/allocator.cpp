#include "runtime/memory/allocator.hpp"

#include <cstdint>
#include <cstring>

#include "runtime/memory/advice.hpp"
#include "runtime/memory/pages.hpp"
#include "runtime/memory/reserve.hpp"
#include "runtime/platform/spin_lock.hpp"

namespace tendril::rt {
namespace {

// | header 16 | what the caller gets |; a free block's header is its link in the list.
struct alignas(16) BlockHeader {
  size_t bytes;  // with the header: free knows by it where the block belongs
  BlockHeader* next_free;
};
static_assert(sizeof(BlockHeader) == 16);

// 32, 48, 64, 96, 128, … 16384 bytes; what is larger has pages of its own.
constexpr size_t kClasses = 19;
constexpr size_t size_of_class(size_t index) noexcept {
  return (index % 2 == 0 ? size_t{32} : size_t{48}) << index / 2;
}
constexpr size_t kLargest = size_of_class(kClasses - 1);
static_assert(kLargest == 16384);

size_t class_of(size_t bytes) noexcept {
  if (bytes <= size_of_class(0)) return 0;
  const auto log = static_cast<size_t>(63 - __builtin_clzl(bytes - 1));  // 2^log < bytes
  const size_t index = (log - 5) * 2;
  return bytes <= size_of_class(index + 1) ? index + 1 : index + 2;
}

// The blocks of one size: those given back, and what is left of the last chunk of pages.
struct SizeClass {
  BlockHeader* free = nullptr;
  char* fresh = nullptr;
  char* end = nullptr;
  size_t chunk = kPageSize;  // of the next; grows, so that much takes few mappings
};

constexpr size_t kLargestChunk = 256 * 1024;

struct Heap {
  SpinLock lock;
  SizeClass classes[kClasses];
};

constinit Heap heap;

// Precondition: the lock. False when out of memory.
bool add_chunk(SizeClass& c, size_t block) noexcept {
  const size_t least = round_up_to_page(block);
  size_t bytes = c.chunk;
  void* pages = bytes > least ? map_pages(bytes) : nullptr;
  if (pages == nullptr) {  // of the reserve no more than is needed now
    bytes = least;
    pages = map_vital_pages(bytes);
    if (pages == nullptr) return false;
  } else if (bytes > kPageSize) {  // as much is in use already
    fill_pages(pages, bytes);
  }
  if (c.chunk < kLargestChunk) c.chunk *= 2;
  c.fresh = static_cast<char*>(pages);
  c.end = c.fresh + bytes;
  return true;
}

// Precondition: the lock.
void* take_block(size_t index) noexcept {
  SizeClass& c = heap.classes[index];
  if (BlockHeader* block = c.free; block != nullptr) {
    c.free = block->next_free;
    return block;
  }
  const size_t size = size_of_class(index);
  if (static_cast<size_t>(c.end - c.fresh) < size && !add_chunk(c, size)) return nullptr;
  char* block = c.fresh;
  c.fresh += size;
  return block;
}

}  // namespace

void* runtime_allocate(size_t bytes) noexcept {
  const size_t total = bytes + sizeof(BlockHeader);
  if (total < bytes || round_up_to_page(total) < total) return nullptr;
  void* block;
  if (total > kLargest) {
    block = map_vital_pages(round_up_to_page(total));
  } else {
    SpinGuard guard(heap.lock);
    block = take_block(class_of(total));
  }
  if (block == nullptr) return nullptr;
  auto* header = static_cast<BlockHeader*>(block);
  header->bytes = total;
  return header + 1;
}

void runtime_free(void* pointer) noexcept {
  if (pointer == nullptr) return;
  auto* header = static_cast<BlockHeader*>(pointer) - 1;
  if (header->bytes > kLargest) {
    unmap_vital_pages(header, round_up_to_page(header->bytes));
    return;
  }
  SpinGuard guard(heap.lock);
  SizeClass& c = heap.classes[class_of(header->bytes)];
  header->next_free = c.free;
  c.free = header;
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

SpinLock& runtime_allocator_lock() noexcept { return heap.lock; }

void runtime_allocator_reset_after_fork() noexcept { heap.lock.reset_after_fork(); }

}  // namespace tendril::rt
