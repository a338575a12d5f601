#include "runtime/memory/stack_pool.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <utility>

#include "runtime/memory/advice.hpp"
#include "runtime/memory/allocator.hpp"
#include "runtime/memory/pages.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::rt {
namespace {

constexpr int kMadvGuardInstall = 102;  // linux/mman.h of 6.13; Debian 12's headers are older
constexpr size_t kSlabTarget = size_t{8} << 20;

}  // namespace

StackPool::FreeLink* StackPool::link_of(char* bottom) const noexcept {
  return reinterpret_cast<FreeLink*>(bottom + stack_size_ - sizeof(FreeLink));
}

// Guards for the next few of the slab; false if there is none for the next one. Their topmost pages
// are had at the same time: nearly every one of them is used.
bool StackPool::prepare_some() noexcept {
  const size_t stride = stack_size_ + kPageSize;
  const size_t wanted = std::min({std::max(in_use_ / 4, size_t{1}), kMostPrepared, fresh_left_});
  prepared_ = advise_each(fresh_, stride, wanted, kPageSize, kMadvGuardInstall);
  if (prepared_ == 0) {
    if (protect_guards_ >= kMostProtectGuards) return false;
    if (raw_syscall(SYS_mprotect, fresh_, kPageSize, PROT_NONE) != 0) return false;
    ++protect_guards_;
    prepared_ = 1;
  }
  advise_each(fresh_ + stack_size_, stride, prepared_, kPageSize, MADV_POPULATE_WRITE);
  return true;
}

bool StackPool::grow() noexcept {
  const size_t stride = stack_size_ + kPageSize;
  const size_t count = kSlabTarget / stride > 0 ? kSlabTarget / stride : 1;
  auto* slab = runtime_new<Slab>();
  if (slab == nullptr) return false;
  auto* base = static_cast<char*>(map_pages(count * stride));
  if (base == nullptr) {
    runtime_delete(slab);
    return false;
  }
  // A huge page under one touched stack would make 2 MiB of it resident.
  raw_syscall(SYS_madvise, base, count * stride, MADV_NOHUGEPAGE);
  *slab = {base, count * stride, slabs_};
  slabs_ = slab;
  fresh_ = base;
  fresh_left_ = count;
  prepared_ = 0;
  return true;
}

Stack StackPool::take() noexcept {
  SpinGuard guard(lock_);
  FreeLink** const list = warm_ != nullptr ? &warm_ : cooling_ != nullptr ? &cooling_ : &cold_;
  if (FreeLink* link = *list; link != nullptr) {
    *list = link->next;
    if (list == &warm_) --warm_count_;
    if (list == &cooling_) --cooling_count_;
    ++in_use_;
    return {link->bottom, stack_size_};
  }
  if (fresh_left_ == 0 && !grow()) return {};
  if (prepared_ == 0 && !prepare_some()) return {};
  char* bottom = fresh_ + kPageSize;
  fresh_ += stack_size_ + kPageSize;
  --fresh_left_;
  --prepared_;
  ++in_use_;
  return {bottom, stack_size_};
}

void StackPool::give_back(Stack stack) noexcept {
  FreeLink* const link = link_of(stack.bottom);
  FreeLink* to_drop = nullptr;
  {
    SpinGuard guard(lock_);
    --in_use_;
    if (warm_count_ < kWarmStacks) {
      *link = {warm_, stack.bottom};
      warm_ = link;
      ++warm_count_;
    } else {
      *link = {cooling_, stack.bottom};
      cooling_ = link;
      if (++cooling_count_ == kDroppedAtOnce) {
        to_drop = std::exchange(cooling_, nullptr);
        cooling_count_ = 0;
      }
    }
  }
  if (to_drop != nullptr) drop_pages(to_drop);
}

// All but the topmost pages, which hold the links. Exactly kDroppedAtOnce stacks.
void StackPool::drop_pages(FreeLink* stacks) noexcept {
  iovec places[kDroppedAtOnce];
  FreeLink* last = nullptr;
  size_t count = 0;
  for (FreeLink* link = stacks; link != nullptr; link = link->next) {
    places[count++] = {link->bottom, stack_size_ - kPageSize};
    last = link;
  }
  advise_places(places, count, MADV_DONTNEED);
  SpinGuard guard(lock_);
  last->next = cold_;
  cold_ = stacks;
}

bool StackPool::is_guard(const void* address) const noexcept {
  const auto* a = static_cast<const char*>(address);
  SpinGuard guard(lock_);
  for (const Slab* slab = slabs_; slab != nullptr; slab = slab->next) {
    if (a >= slab->base && a < slab->base + slab->bytes) {
      return static_cast<size_t>(a - slab->base) % (stack_size_ + kPageSize) < kPageSize;
    }
  }
  return false;
}

}  // namespace tendril::rt
