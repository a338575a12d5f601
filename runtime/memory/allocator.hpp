// The runtime's private heap.
//
// Runtime code must not call malloc: a green thread may have been switched out while it held a lock
// of the program's allocator, and the worker would wait for it for ever. This heap keeps lists of
// free blocks, one for each of a few sizes, over pages of our own: it shares nothing with the
// program, uses no thread-local, throws nothing (an exception takes memory of malloc's) and exports
// no malloc.
//
// Thread safety: all functions may be called from any OS thread, not from a signal handler.
#pragma once

#include <cstddef>
#include <new>
#include <utility>

#include "runtime/platform/spin_lock.hpp"

namespace tendril::rt {

// Null when the system is out of memory. 16-byte aligned.
void* runtime_allocate(size_t bytes) noexcept;
void* runtime_reallocate(void* pointer, size_t bytes) noexcept;
void* runtime_allocate_zeroed(size_t count, size_t bytes) noexcept;
void runtime_free(void* pointer) noexcept;

template <typename T, typename... Args>
T* runtime_new(Args&&... args) {
  void* memory = runtime_allocate(sizeof(T));
  return memory != nullptr ? new (memory) T(std::forward<Args>(args)...) : nullptr;
}

template <typename T>
void runtime_delete(T* object) noexcept {
  if (object == nullptr) return;
  object->~T();
  runtime_free(object);
}

// In the child of fork: another thread may have held the heap's lock.
void runtime_allocator_reset_after_fork() noexcept;
// Held around fork, so that the child finds no half-made change.
SpinLock& runtime_allocator_lock() noexcept;

}  // namespace tendril::rt
