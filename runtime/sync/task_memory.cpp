// Memory of tasks: free lists by size class in each worker, so that a spawn takes no lock.
#include <cstdint>
#include <new>

#include "runtime/hub/worker.hpp"
#include "runtime/memory/allocator.hpp"
#include "runtime/sync/task_list.hpp"
#include "runtime/sync/thread.hpp"
#include "tendril/detail/task.hpp"

namespace tendril::detail {
namespace {

constexpr size_t kClassBytes = 16;
constexpr size_t kClasses = 64;  // up to 1 KiB; larger ones come from the heap
constexpr uint32_t kMostKept = 1024;
constexpr uint64_t kNumbersAtOnce = 4096;

struct FreeBlock {
  FreeBlock* next;
};

struct WorkerData {
  FreeBlock* free[kClasses] = {};
  uint32_t kept[kClasses] = {};
  uint64_t next_number = 0;
  uint64_t last_number = 0;
};

std::atomic<uint64_t> numbers{1};

WorkerData* data_of(rt::Worker* worker) noexcept {
  if (__builtin_expect(worker->api_data == nullptr, false)) {
    worker->api_data = rt::runtime_new<WorkerData>();
  }
  return static_cast<WorkerData*>(worker->api_data);
}

constexpr size_t class_of(size_t bytes) noexcept { return (bytes + kClassBytes - 1) / kClassBytes; }

}  // namespace

static void* take(WorkerData* data, size_t size_class) noexcept {
  if (data == nullptr || size_class >= kClasses) return nullptr;
  FreeBlock* block = data->free[size_class];
  if (block == nullptr) return nullptr;
  data->free[size_class] = block->next;
  --data->kept[size_class];
  return block;
}

static bool keep(WorkerData* data, void* memory, size_t size_class) noexcept {
  if (data == nullptr || size_class >= kClasses || data->kept[size_class] >= kMostKept) {
    return false;
  }
  auto* block = static_cast<FreeBlock*>(memory);
  block->next = data->free[size_class];
  data->free[size_class] = block;
  ++data->kept[size_class];
  return true;
}

void* allocate_task(size_t bytes) {
  const size_t size_class = class_of(bytes);
  if (rt::Worker* plain = plain_worker_here()) {
    if (void* memory = take(data_of(plain), size_class)) return memory;
  }
  this_worker();
  const rt::RuntimeSection section;
  void* memory = take(data_of(rt::current_worker_unchecked()), size_class);
  if (memory == nullptr) memory = rt::runtime_allocate(size_class * kClassBytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void free_task(void* memory, size_t bytes) noexcept {
  const size_t size_class = class_of(bytes);
  if (rt::Worker* plain = plain_worker_here()) {
    if (keep(data_of(plain), memory, size_class)) return;
  }
  const rt::RuntimeSection section;
  rt::Worker* worker = rt::current_worker();
  if (worker == nullptr || !keep(data_of(worker), memory, size_class)) rt::runtime_free(memory);
}

static uint64_t next_number(WorkerData* data) noexcept {
  if (data == nullptr) return numbers.fetch_add(1, std::memory_order_relaxed);
  if (data->next_number == data->last_number) {
    data->next_number = numbers.fetch_add(kNumbersAtOnce, std::memory_order_relaxed);
    data->last_number = data->next_number + kNumbersAtOnce;
  }
  return data->next_number++;
}

uint64_t next_task_number() noexcept {
  if (rt::Worker* plain = plain_worker_here()) return next_number(data_of(plain));
  const rt::RuntimeSection section;
  return next_number(data_of(rt::current_worker_unchecked()));
}

}  // namespace tendril::detail
