// Thread stacks that lie side by side in one mapping.
//
// glibc makes a stack by mmap (inaccessible, MAP_STACK) and mprotect (all but the guard), which is
// two mappings of the Linux kernel for each: `vm.max_map_count` ends that at some 32,000 threads.
// Here a stack is a piece of an arena that is reserved as address space; its guard is made of page
// table entries (MADV_GUARD_INSTALL of Linux 6.13), so that all pieces in use are one mapping.
// Stack sizes stay what the program asked for.
//
// A stack that is given back stays as its thread left it, and is the next thread's: the C library
// has given most of its memory back by then, and what is left costs a flush of the translations to
// take away and page faults to get again. Only so many do, and only for threads: any other caller
// of mmap gets zeroes.
//
// Only programs with many stacks come here. Whatever is unusual, in the program's calls or on the
// machine, is left to the Linux kernel: then stacks are what they are natively.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/platform/spin_lock.hpp"

namespace tendril::kernel {

class StackArenas {
 public:
  // A stack of `size` bytes, all of it accessible only after protect(). Zeroed, or `for_thread`
  // where the C library relies on it. Null: use mmap.
  void* take(size_t size, bool for_thread) noexcept;

  // The calls that the program makes later. True: done here. False: the Linux kernel's; if it
  // concerns pieces, these are not handed out again.
  bool protect(uintptr_t begin, size_t size, int protection) noexcept;
  bool unmap(uintptr_t begin, size_t size) noexcept;
  // Something else comes to lie there.
  void replaced(uintptr_t begin, size_t size) noexcept;

  // The child of fork goes on without: its stacks are plain memory.
  void reset_after_fork() noexcept;

 private:
  enum class State : uint8_t {
    kNew,     // never taken
    kTaken,   // taken, guard not known yet
    kOpen,    // accessible but for its guard
    kFree,    // given back: zeroed, its guard still there
    kWarm,    // given back as its thread left it, its guard still there
    kForeign  // the program has made something else of it
  };
  struct Piece {
    State state;
    bool is_filled;  // the pages that every thread uses are there
    uint32_t guard_pages;
  };
  struct Arena {
    uintptr_t begin = 0;
    size_t piece_size = 0;
    size_t capacity = 0;
    size_t begun = 0;          // pieces that are not kNew
    Piece* pieces = nullptr;   // of capacity
    uint32_t* free = nullptr;  // a stack of those that are kFree or kWarm
    size_t free_count = 0;
    size_t warm_count = 0;  // of these, kWarm
    uintptr_t end() const noexcept { return begin + capacity * piece_size; }
  };

  Arena* arena_for(size_t size) noexcept;
  Arena* arena_at(uintptr_t address) noexcept;
  bool make(Arena& arena, size_t size) noexcept;
  bool reuse(Arena& arena, Piece& piece, uintptr_t begin, bool for_thread) noexcept;
  void leave_to_kernel(uintptr_t begin, size_t size) noexcept;

  static constexpr size_t kMostArenas = 8;
  static constexpr size_t kMostPieces = size_t{1} << 18;
  static constexpr size_t kLargestPiece = size_t{16} << 20;
  static constexpr size_t kMostWarm = 1024;    // of an arena; some 10 KB each
  static constexpr uint32_t kManyStacks = 64;  // so many come from mmap

  rt::SpinLock lock_;
  Arena arenas_[kMostArenas];
  // Written under lock_; read without, so that most calls see at once that they are not concerned.
  std::atomic<size_t> count_{0};
  std::atomic<uintptr_t> lowest_{~uintptr_t{0}}, highest_{0};
  uint32_t asked_ = 0;
  bool impossible_ = false;
};

StackArenas& stack_arenas() noexcept;

}  // namespace tendril::kernel
