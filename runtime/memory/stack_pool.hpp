// Stacks of explicit fibers.
//
//   one slab (a single mapping)
//   +-------+----------------+-------+----------------+----
//   | guard |   stack 0      | guard |   stack 1      | ...
//   +-------+----------------+-------+----------------+----
//            ^ Stack::bottom          top: where the fiber starts, growing down
//
// Guards are markers in the page tables (MADV_GUARD_INSTALL, Linux 6.13), which split no mapping,
// so their number is not bounded by vm.max_map_count; elsewhere mprotect, up to a bound, and what
// is beyond the bound is refused rather than left unguarded.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/memory/pages.hpp"
#include "runtime/platform/spin_lock.hpp"

namespace tendril::rt {

struct Stack {
  char* bottom = nullptr;  // lowest usable address
  size_t size = 0;         // usable bytes
  char* top() const noexcept { return bottom + size; }
  explicit operator bool() const noexcept { return bottom != nullptr; }
};

// Stacks of one size. Thread-safe.
class StackPool {
 public:
  constexpr explicit StackPool(size_t stack_size) noexcept
      : stack_size_(round_up_to_page(stack_size)) {}

  // An empty Stack when out of memory or guards. Contents are unspecified.
  Stack take() noexcept;
  void give_back(Stack stack) noexcept;

  size_t stack_size() const noexcept { return stack_size_; }
  size_t in_use() const noexcept { return in_use_; }
  SpinLock& lock() noexcept { return lock_; }  // held around fork
  void reset_after_fork() noexcept { lock_.reset_after_fork(); }

  // True if the address lies in the guard below a stack of this pool.
  bool is_guard(const void* address) const noexcept;

 private:
  // A free stack holds its link in its topmost word, which is resident anyway.
  struct FreeLink {
    FreeLink* next;
    char* bottom;
  };
  struct Slab {
    char* base;
    size_t bytes;
    Slab* next;
  };

  bool grow() noexcept;
  bool prepare_some() noexcept;
  FreeLink* link_of(char* bottom) const noexcept;
  void drop_pages(FreeLink* stacks) noexcept;

  // Beyond this many free stacks that were used, the pages of further ones go back to the kernel.
  static constexpr size_t kWarmStacks = 1024;
  // So many at once, which costs half as much for each.
  static constexpr size_t kDroppedAtOnce = 32;
  static constexpr size_t kMostProtectGuards = 24'000;
  // Never-used stacks are prepared (guard, topmost page) so many at once, or fewer while there are
  // few.
  static constexpr size_t kMostPrepared = 64;

  const size_t stack_size_;
  mutable SpinLock lock_;
  FreeLink* warm_ = nullptr;     // all below guarded by lock_
  FreeLink* cooling_ = nullptr;  // pages to be given back, as soon as there are enough of them
  FreeLink* cold_ = nullptr;     // pages given back
  size_t warm_count_ = 0;
  size_t cooling_count_ = 0;
  Slab* slabs_ = nullptr;
  char* fresh_ = nullptr;  // next never-used stack of the newest slab, with its guard
  size_t fresh_left_ = 0;
  size_t prepared_ = 0;  // of these
  size_t in_use_ = 0;
  size_t protect_guards_ = 0;
};

}  // namespace tendril::rt
