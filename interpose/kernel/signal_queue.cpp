#include "interpose/kernel/signal_queue.hpp"

#include <cstring>

#include "runtime/memory/allocator.hpp"

namespace tendril::kernel {
namespace {

constexpr uint64_t kSynchronous = signal_bit(SIGSEGV) | signal_bit(SIGBUS) | signal_bit(SIGILL) |
                                  signal_bit(SIGTRAP) | signal_bit(SIGFPE) | signal_bit(SIGSYS);

}  // namespace

bool SignalQueue::push(const siginfo_t& info, bool is_promised) noexcept {
  const uint64_t bit = signal_bit(info.si_signo);
  if (info.si_signo < kFirstRealTime && (set_ & bit) != 0) return false;
  set_ |= bit;
  auto* entry = static_cast<Entry*>(rt::runtime_allocate(sizeof(Entry)));
  if (entry == nullptr) return true;
  *entry = {info, is_promised, nullptr};
  if (head_ == nullptr) {
    head_ = entry;
  } else {
    tail_->next = entry;
  }
  tail_ = entry;
  return true;
}

int SignalQueue::pop(uint64_t wanted, siginfo_t* info, bool* is_promised) noexcept {
  uint64_t candidates = set_ & wanted;
  if (candidates == 0) return 0;
  if ((candidates & kSynchronous) != 0) candidates &= kSynchronous;
  const int number = __builtin_ctzll(candidates) + 1;
  std::memset(info, 0, sizeof *info);
  info->si_signo = number;
  info->si_code = SI_USER;
  if (is_promised != nullptr) *is_promised = false;
  bool found = false;
  bool more = false;
  Entry* previous = nullptr;
  for (Entry* entry = head_; entry != nullptr;) {
    Entry* next = entry->next;
    if (entry->info.si_signo == number) {
      if (found) {
        more = true;
        break;
      }
      found = true;
      *info = entry->info;
      if (is_promised != nullptr) *is_promised = entry->is_promised;
      (previous == nullptr ? head_ : previous->next) = next;
      if (tail_ == entry) tail_ = previous;
      rt::runtime_free(entry);
    } else {
      previous = entry;
    }
    entry = next;
  }
  if (!more) set_ &= ~signal_bit(number);
  return number;
}

void SignalQueue::drop(uint64_t which) noexcept {
  siginfo_t info;
  while (pop(which, &info) != 0) {
  }
}

}  // namespace tendril::kernel
