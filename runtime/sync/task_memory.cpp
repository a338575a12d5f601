#include "runtime/sync/task_memory.hpp"

#include <new>

#include "runtime/memory/allocator.hpp"
#include "runtime/sync/task_list.hpp"
#include "runtime/sync/thread.hpp"
#include "tendril/detail/task.hpp"

namespace tendril::detail {

void TaskMemory::make_for(rt::Worker* worker) noexcept {
  worker->api_data = rt::runtime_new<TaskMemory>();
}

namespace {

__attribute__((noinline)) void* allocate_in_general(size_t size_class) {
  this_worker();
  const rt::RuntimeSection section;
  TaskMemory* own = TaskMemory::of(rt::current_worker_unchecked());
  void* memory = own != nullptr ? own->take(size_class) : nullptr;
  if (memory == nullptr) memory = rt::runtime_allocate(size_class * TaskMemory::kClassBytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

__attribute__((noinline)) void free_in_general(void* memory, size_t size_class) noexcept {
  const rt::RuntimeSection section;
  rt::Worker* worker = rt::current_worker();
  TaskMemory* own = worker != nullptr ? TaskMemory::of(worker) : nullptr;
  if (own == nullptr || !own->keep(memory, size_class)) rt::runtime_free(memory);
}

}  // namespace

void* allocate_task(size_t bytes) {
  const size_t size_class = TaskMemory::class_of(bytes);
  if (rt::Worker* plain = plain_worker_here(); __builtin_expect(plain != nullptr, true)) {
    TaskMemory* own = TaskMemory::of(plain);
    void* memory = own != nullptr ? own->take(size_class) : nullptr;
    if (__builtin_expect(memory != nullptr, true)) return memory;
  }
  return allocate_in_general(size_class);
}

void free_task(void* memory, size_t bytes) noexcept {
  const size_t size_class = TaskMemory::class_of(bytes);
  if (rt::Worker* plain = plain_worker_here(); __builtin_expect(plain != nullptr, true)) {
    TaskMemory* own = TaskMemory::of(plain);
    if (__builtin_expect(own != nullptr && own->keep(memory, size_class), true)) return;
  }
  free_in_general(memory, size_class);
}

uint64_t next_task_number() noexcept {
  const rt::RuntimeSection section;
  TaskMemory* own = TaskMemory::of(rt::current_worker_unchecked());
  return own != nullptr ? own->next_number() : TaskMemory::number_without_memory();
}

}  // namespace tendril::detail
