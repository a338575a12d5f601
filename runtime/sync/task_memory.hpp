// What each worker keeps for the tasks that are made and end on it: memory, in free lists by size
// class, and numbers, so that a spawn takes no lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/hub/worker.hpp"

namespace tendril::detail {

class TaskMemory {
 public:
  // The worker's own, made at first use. Null when out of memory. Own thread, runtime mode.
  static TaskMemory* of(rt::Worker* worker) noexcept {
    if (__builtin_expect(worker->api_data == nullptr, false)) make_for(worker);
    return static_cast<TaskMemory*>(worker->api_data);
  }

  static constexpr size_t kClassBytes = 16;
  static constexpr size_t class_of(size_t bytes) noexcept {
    return (bytes + kClassBytes - 1) / kClassBytes;
  }

  // Null if none is kept.
  void* take(size_t size_class) noexcept {
    if (size_class >= kClasses) return nullptr;
    FreeBlock* block = free_[size_class];
    if (block == nullptr) return nullptr;
    free_[size_class] = block->next;
    --kept_[size_class];
    return block;
  }
  // False if there is enough of it.
  bool keep(void* memory, size_t size_class) noexcept {
    if (size_class >= kClasses || kept_[size_class] >= kMostKept) return false;
    auto* block = static_cast<FreeBlock*>(memory);
    block->next = free_[size_class];
    free_[size_class] = block;
    ++kept_[size_class];
    return true;
  }

  uint64_t next_number() noexcept {
    if (__builtin_expect(next_number_ == last_number_, false)) {
      next_number_ = numbers.fetch_add(kNumbersAtOnce, std::memory_order_relaxed);
      last_number_ = next_number_ + kNumbersAtOnce;
    }
    return next_number_++;
  }
  static uint64_t number_without_memory() noexcept {
    return numbers.fetch_add(1, std::memory_order_relaxed);
  }

 private:
  static constexpr size_t kClasses = 64;  // up to 1 KiB; larger ones come from the heap
  static constexpr uint32_t kMostKept = 1024;
  static constexpr uint64_t kNumbersAtOnce = 4096;

  struct FreeBlock {
    FreeBlock* next;
  };

  static void make_for(rt::Worker* worker) noexcept;
  static inline std::atomic<uint64_t> numbers{1};

  FreeBlock* free_[kClasses] = {};
  uint32_t kept_[kClasses] = {};
  uint64_t next_number_ = 0;
  uint64_t last_number_ = 0;
};

}  // namespace tendril::detail
