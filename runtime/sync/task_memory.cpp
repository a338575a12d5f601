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

static void* try_allocate(size_t bytes) noexcept {
  const size_t size_class = class_of(bytes);
  const rt::RuntimeSection section;
  WorkerData* data = data_of(rt::current_worker_unchecked());
  if (data != nullptr && size_class < kClasses) {
    if (FreeBlock* block = data->free[size_class]) {
      data->free[size_class] = block->next;
      --data->kept[size_class];
      return block;
    }
  }
  return rt::runtime_allocate(size_class * kClassBytes);
}

void* allocate_task(size_t bytes) {
  this_worker();
  void* memory = try_allocate(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void free_task(void* memory, size_t bytes) noexcept {
  const size_t size_class = class_of(bytes);
  const rt::RuntimeSection section;
  if (rt::Worker* worker = rt::current_worker(); worker != nullptr && size_class < kClasses) {
    WorkerData* data = data_of(worker);
    if (data != nullptr && data->kept[size_class] < kMostKept) {
      auto* block = static_cast<FreeBlock*>(memory);
      block->next = data->free[size_class];
      data->free[size_class] = block;
      ++data->kept[size_class];
      return;
    }
  }
  rt::runtime_free(memory);
}

uint64_t next_task_number() noexcept {
  const rt::RuntimeSection section;
  WorkerData* data = data_of(rt::current_worker_unchecked());
  if (data == nullptr) return numbers.fetch_add(1, std::memory_order_relaxed);
  if (data->next_number == data->last_number) {
    data->next_number = numbers.fetch_add(kNumbersAtOnce, std::memory_order_relaxed);
    data->last_number = data->next_number + kNumbersAtOnce;
  }
  return data->next_number++;
}

}  // namespace tendril::detail
