#include "interpose/kernel/standstill.hpp"

#include <cstring>
#include <new>

#include "interpose/kernel/mappings.hpp"
#include "runtime/hub/process.hpp"
#include "runtime/memory/pages.hpp"

namespace tendril::kernel {
namespace {

int not_standing = 0;  // tid of the last that was found so: the first to be asked

// Waits on a futex with nobody on the way to end it. Whether it has a deadline the timers say.
bool stands(const rt::Fiber* fiber) noexcept {
  return fiber != nullptr &&
         fiber->state.load(std::memory_order_acquire) == rt::FiberState::kParked &&
         fiber->wait_kind == rt::WaitKind::kFutex &&
         rt::wait_word::reason(fiber->wait_word.load(std::memory_order_acquire)) ==
             rt::WakeReason::kNone;
}

}  // namespace

bool may_be_standstill() noexcept {
  rt::SpinGuard guard(threads().lock);
  const GreenThread* witness = threads().find(not_standing);
  if (witness != nullptr && !stands(witness->fiber)) return false;
  for (GreenThread* t = threads().first(); t != nullptr; t = threads().next(t)) {
    if (!stands(t->fiber)) {
      not_standing = t->tid;
      return false;
    }
  }
  return true;
}

Standstill::~Standstill() {
  if (threads_ != nullptr) {
    rt::unmap_pages(threads_, rt::round_up_to_page(capacity_ * sizeof(StandingThread)));
  }
}

bool Standstill::look() noexcept {
  capacity_ = threads().count();
  if (capacity_ == 0) return false;
  void* pages = rt::map_pages(rt::round_up_to_page(capacity_ * sizeof(StandingThread)));
  if (pages == nullptr) return false;
  threads_ = static_cast<StandingThread*>(pages);
  if (!take_all()) return false;
  find_cycle();
  return true;
}

bool Standstill::take_all() noexcept {
  rt::SpinGuard guard(threads().lock);
  for (GreenThread* t = threads().first(); t != nullptr; t = threads().next(t)) {
    if (count_ == capacity_ || !stands(t->fiber)) return false;
    auto* standing = new (&threads_[count_]) StandingThread;
    standing->tid = t->tid;
    std::memcpy(standing->name, t->name, sizeof standing->name);
    standing->call_site = t->call_site;
    standing->word = t->fiber->wait_object;
    standing->object = wait_object_at(reinterpret_cast<uintptr_t>(standing->word));
    t->standing_index = static_cast<int>(count_++);
  }
  for (size_t i = 0; i < count_; ++i) {
    const int tid = threads_[i].object.tid;
    const GreenThread* other = tid != 0 ? threads().find(tid) : nullptr;
    if (other != nullptr) {
      threads_[i].waits_for = other->standing_index;
    } else if (tid != 0) {
      owner_has_ended_ = true;
    }
  }
  // Fibers that are no threads have wakers of their own.
  return rt::process().live_fibers() == count_;
}

bool Standstill::reaches_other_processes() const noexcept {
  for (size_t i = 0; i < count_; ++i) {
    const bool asked = i > 0 && threads_[i].word == threads_[i - 1].word;  // many wait on few
    if (!asked && is_shared_mapping(threads_[i].word)) return true;
  }
  return false;
}

// FNV-1a (Fowler, Noll and Vo), by words.
uint64_t Standstill::fingerprint() const noexcept {
  uint64_t hash = 0xCBF29CE484222325U;
  const auto add = [&hash](uint64_t word) { hash = (hash ^ word) * 0x100000001B3U; };
  for (size_t i = 0; i < count_; ++i) {
    add(static_cast<uint64_t>(threads_[i].tid));
    add(threads_[i].object.address);
    add(threads_[i].call_site.sp);
  }
  return hash;
}

// Each waits for one at most: following the arrows from anywhere ends, or comes to a thread that
// this walk has passed.
void Standstill::find_cycle() noexcept {
  constexpr uint8_t kOnThisWalk = 1;
  constexpr uint8_t kOnEarlierWalk = 2;
  for (size_t start = 0; start < count_ && cycle_ < 0; ++start) {
    int at = static_cast<int>(start);
    while (at >= 0 && threads_[at].seen == 0) {
      threads_[at].seen = kOnThisWalk;
      at = threads_[at].waits_for;
    }
    if (at >= 0 && threads_[at].seen == kOnThisWalk) cycle_ = at;
    for (int walked = static_cast<int>(start); walked >= 0 && threads_[walked].seen == kOnThisWalk;
         walked = threads_[walked].waits_for) {
      threads_[walked].seen = kOnEarlierWalk;
    }
  }
  for (int at = cycle_; at >= 0 && !threads_[at].in_cycle; at = threads_[at].waits_for) {
    threads_[at].in_cycle = true;
  }
}

}  // namespace tendril::kernel
