#include "interpose/kernel/stack_arena.hpp"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>

#include "runtime/memory/advice.hpp"
#include "runtime/memory/pages.hpp"
#include "runtime/platform/process_wide.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

constexpr int kMadvGuardInstall = 102;  // linux/mman.h of 6.13; Debian 12's headers are older
constexpr int kMadvGuardRemove = 103;
constexpr size_t kUsedByAll =
    2 * rt::kPageSize;                      // glibc's record of a thread, and its first frames
constexpr size_t kTable = size_t{2} << 20;  // what one page of the page tables describes

long advise(uintptr_t begin, size_t size, int advice) noexcept {
  return rt::raw_syscall(SYS_madvise, begin, size, advice);
}

bool address_space_is_limited() noexcept {
  rlimit limit{};
  return rt::raw_syscall(SYS_prlimit64, 0, RLIMIT_AS, nullptr, &limit) != 0 ||
         limit.rlim_cur != RLIM_INFINITY;
}

}  // namespace

StackArenas& stack_arenas() noexcept { return rt::MadeAtFirstUse<StackArenas>::get(); }

// Precondition: lock_.
bool StackArenas::make(Arena& arena, size_t size) noexcept {
  const size_t capacity = std::min(kMostPieces, (size_t{1} << 40) / size);
  const size_t bytes = capacity * size + 2 * kTable;
  const long got = rt::raw_syscall(SYS_mmap, nullptr, bytes, PROT_NONE,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (got < 0) return false;
  // The guard of a piece and the top of the piece below it share a page of the page tables.
  const uintptr_t begin = ((static_cast<uintptr_t>(got) + kTable - 1) & ~(kTable - 1)) + kTable / 2;
  auto* pieces = static_cast<Piece*>(rt::map_pages(rt::round_up_to_page(capacity * sizeof(Piece))));
  auto* free = static_cast<uint32_t*>(rt::map_pages(rt::round_up_to_page(capacity * 4)));
  if (pieces == nullptr || free == nullptr ||
      advise(begin, rt::kPageSize, kMadvGuardInstall) != 0) {
    rt::raw_syscall(SYS_munmap, got, bytes);
    if (pieces != nullptr) rt::unmap_pages(pieces, rt::round_up_to_page(capacity * sizeof(Piece)));
    if (free != nullptr) rt::unmap_pages(free, rt::round_up_to_page(capacity * 4));
    return false;
  }
  advise(begin, rt::kPageSize, kMadvGuardRemove);
  advise(static_cast<uintptr_t>(got), bytes, MADV_NOHUGEPAGE);  // one touched page, 2 MB
  arena = {begin, size, capacity, 0, pieces, free, 0, 0};
  lowest_.store(std::min(lowest_.load(), begin));
  highest_.store(std::max(highest_.load(), arena.end()));
  return true;
}

// Precondition: lock_. Null if there is none and none can be had.
StackArenas::Arena* StackArenas::arena_for(size_t size) noexcept {
  const size_t count = count_.load(std::memory_order_relaxed);
  for (size_t i = 0; i < count; ++i) {
    if (arenas_[i].piece_size == size) return &arenas_[i];
  }
  if (count == kMostArenas || impossible_) return nullptr;
  if (address_space_is_limited() || !make(arenas_[count], size)) {
    impossible_ = true;
    return nullptr;
  }
  count_.store(count + 1, std::memory_order_release);
  return &arenas_[count];
}

StackArenas::Arena* StackArenas::arena_at(uintptr_t address) noexcept {
  for (size_t i = 0; i < count_.load(std::memory_order_relaxed); ++i) {
    if (address >= arenas_[i].begin && address < arenas_[i].end()) return &arenas_[i];
  }
  return nullptr;
}

// Precondition: lock_; the piece has just left the list of free ones. False: it cannot be had.
bool StackArenas::reuse(Arena& arena, Piece& piece, uintptr_t begin, bool for_thread) noexcept {
  piece.is_filled = false;
  if (piece.state == State::kWarm) {
    --arena.warm_count;
    if (for_thread) {
      // Its record of the thread, which the C library takes for zeroed by mmap.
      std::memset(reinterpret_cast<void*>(begin + arena.piece_size - rt::kPageSize), 0,
                  rt::kPageSize);
      piece.is_filled = true;
    } else if (advise(begin, arena.piece_size, MADV_DONTNEED) != 0) {
      piece.state = State::kForeign;
      return false;
    }
  } else if (piece.state != State::kFree) {
    return false;
  }
  piece.state = State::kOpen;
  return true;
}

void* StackArenas::take(size_t size, bool for_thread) noexcept {
  if (size == 0 || size % rt::kPageSize != 0 || size > kLargestPiece) return nullptr;
  rt::SpinGuard guard(lock_);
  if (asked_ < kManyStacks) {
    ++asked_;
    return nullptr;
  }
  Arena* arena = arena_for(size);
  if (arena == nullptr) return nullptr;
  while (arena->free_count > 0) {
    const size_t index = arena->free[--arena->free_count];
    const uintptr_t begin = arena->begin + index * size;
    if (reuse(*arena, arena->pieces[index], begin, for_thread)) {
      return reinterpret_cast<void*>(begin);
    }
  }
  while (arena->begun < arena->capacity) {
    const size_t index = arena->begun++;
    if (arena->pieces[index].state != State::kNew) continue;
    arena->pieces[index].state = State::kTaken;
    return reinterpret_cast<void*>(arena->begin + index * size);
  }
  return nullptr;
}

// Precondition: lock_. Pieces that a range touches are the program's from now on.
void StackArenas::leave_to_kernel(uintptr_t begin, size_t size) noexcept {
  for (size_t i = 0; i < count_.load(std::memory_order_relaxed); ++i) {
    Arena& arena = arenas_[i];
    const uintptr_t from = std::max(begin, arena.begin);
    const uintptr_t to = std::min(begin + size, arena.end());
    if (from >= to) continue;
    const size_t last = (to - 1 - arena.begin) / arena.piece_size;
    for (size_t index = (from - arena.begin) / arena.piece_size; index <= last; ++index) {
      Piece& piece = arena.pieces[index];
      if (piece.guard_pages != 0 && piece.state == State::kOpen) {
        const uintptr_t bottom = arena.begin + index * arena.piece_size;
        advise(bottom, piece.guard_pages * rt::kPageSize, kMadvGuardRemove);
        // As glibc had made it.
        rt::raw_syscall(SYS_mprotect, bottom, piece.guard_pages * rt::kPageSize, PROT_NONE);
      }
      if (piece.state == State::kWarm) --arena.warm_count;
      piece.state = State::kForeign;
    }
  }
}

bool StackArenas::protect(uintptr_t begin, size_t size, int protection) noexcept {
  if (begin >= highest_.load(std::memory_order_relaxed) ||
      begin + size <= lowest_.load(std::memory_order_relaxed)) {
    return false;
  }
  rt::SpinGuard guard(lock_);
  Arena* arena = arena_at(begin);
  if (arena == nullptr) return false;
  const size_t index = (begin - arena->begin) / arena->piece_size;
  Piece& piece = arena->pieces[index];
  const uintptr_t bottom = arena->begin + index * arena->piece_size;
  const size_t guard_size = begin - bottom;
  const bool opens = (piece.state == State::kTaken || piece.state == State::kOpen) &&
                     begin + rt::round_up_to_page(size) == bottom + arena->piece_size &&
                     begin % rt::kPageSize == 0 && protection == (PROT_READ | PROT_WRITE);
  if (!opens) {
    leave_to_kernel(begin, size);
    return false;
  }
  if (piece.state == State::kTaken &&
      rt::raw_syscall(SYS_mprotect, bottom, arena->piece_size, protection) != 0) {
    return false;  // the Linux kernel says why
  }
  const size_t had = piece.guard_pages * rt::kPageSize;
  if (had > guard_size) advise(bottom + guard_size, had - guard_size, kMadvGuardRemove);
  if (guard_size > had && advise(bottom + had, guard_size - had, kMadvGuardInstall) != 0) {
    rt::raw_syscall(SYS_mprotect, bottom, guard_size, PROT_NONE);
    piece.guard_pages = 0;
    piece.state = State::kForeign;
    return true;
  }
  piece.guard_pages = static_cast<uint32_t>(guard_size / rt::kPageSize);
  piece.state = State::kOpen;
  // glibc's record of the thread and its first frames.
  if (size >= kUsedByAll && !piece.is_filled) {
    rt::fill_pages(reinterpret_cast<void*>(begin + rt::round_up_to_page(size) - kUsedByAll),
                   kUsedByAll);
  }
  return true;
}

bool StackArenas::unmap(uintptr_t begin, size_t size) noexcept {
  if (begin >= highest_.load(std::memory_order_relaxed) ||
      begin + size <= lowest_.load(std::memory_order_relaxed)) {
    return false;
  }
  rt::SpinGuard guard(lock_);
  Arena* arena = arena_at(begin);
  if (arena != nullptr && (begin - arena->begin) % arena->piece_size == 0 &&
      rt::round_up_to_page(size) == arena->piece_size) {
    const size_t index = (begin - arena->begin) / arena->piece_size;
    Piece& piece = arena->pieces[index];
    const bool stays_warm = arena->warm_count < kMostWarm;
    if (piece.state == State::kOpen &&
        (stays_warm || advise(begin, arena->piece_size, MADV_DONTNEED) == 0)) {  // guards stay
      piece.state = stays_warm ? State::kWarm : State::kFree;
      arena->warm_count += stays_warm;
      arena->free[arena->free_count++] = static_cast<uint32_t>(index);
      return true;
    }
  }
  leave_to_kernel(begin, size);
  return false;
}

void StackArenas::replaced(uintptr_t begin, size_t size) noexcept {
  if (begin >= highest_.load(std::memory_order_relaxed) ||
      begin + size <= lowest_.load(std::memory_order_relaxed)) {
    return;
  }
  rt::SpinGuard guard(lock_);
  leave_to_kernel(begin, size);
}

void StackArenas::reset_after_fork() noexcept {
  lock_.reset_after_fork();
  count_.store(0, std::memory_order_relaxed);
  lowest_.store(~uintptr_t{0}, std::memory_order_relaxed);
  highest_.store(0, std::memory_order_relaxed);
  asked_ = 0;
}

}  // namespace tendril::kernel
