#include "interpose/kernel/signal_queue.hpp"

#include <climits>
#include <cstring>

#include "runtime/memory/allocator.hpp"

namespace tendril::kernel {
namespace {

constexpr uint64_t kSynchronous = signal_bit(SIGSEGV) | signal_bit(SIGBUS) | signal_bit(SIGILL) |
                                  signal_bit(SIGTRAP) | signal_bit(SIGFPE) | signal_bit(SIGSYS);

}  // namespace

void add_overruns(siginfo_t* first, const siginfo_t& next) noexcept {
  constexpr int64_t kMost = INT_MAX;  // DELAYTIMER_MAX
  const int64_t overruns = int64_t{first->si_overrun} + next.si_overrun + 1;
  first->si_overrun = static_cast<int>(overruns < kMost ? overruns : kMost);
}

SignalQueue::Entry* SignalQueue::find_expiration(int timer) noexcept {
  for (Entry* entry = head_; entry != nullptr; entry = entry->next) {
    if (entry->marks.is_expiration && entry->info.si_timerid == timer) return entry;
  }
  return nullptr;
}

void SignalQueue::free_entry(Entry* entry) noexcept {
  if (!entry->marks.is_expiration) queued_.fetch_sub(1, std::memory_order_relaxed);
  rt::runtime_free(entry);
}

bool SignalQueue::push(const siginfo_t& info, SignalMarks marks) noexcept {
  const uint64_t bit = signal_bit(info.si_signo);
  if (marks.is_expiration) {
    if (Entry* pending = find_expiration(info.si_timerid); pending != nullptr) {
      add_overruns(&pending->info, info);
      return true;
    }
  } else if (info.si_signo < kFirstRealTime && (set_ & bit) != 0) {
    return false;
  }
  set_ |= bit;
  auto* entry = static_cast<Entry*>(rt::runtime_allocate(sizeof(Entry)));
  if (entry == nullptr) return true;
  *entry = {info, marks, nullptr};
  if (!marks.is_expiration) queued_.fetch_add(1, std::memory_order_relaxed);
  if (head_ == nullptr) {
    head_ = entry;
  } else {
    tail_->next = entry;
  }
  tail_ = entry;
  return true;
}

int SignalQueue::first(uint64_t wanted, SignalMarks* marks) const noexcept {
  uint64_t candidates = set_ & wanted;
  if (candidates == 0) return 0;
  if ((candidates & kSynchronous) != 0) candidates &= kSynchronous;
  const int number = __builtin_ctzll(candidates) + 1;
  const Entry* entry = head_;
  while (entry != nullptr && entry->info.si_signo != number) entry = entry->next;
  *marks = entry != nullptr ? entry->marks : SignalMarks{};
  return number;
}

int SignalQueue::pop(uint64_t wanted, siginfo_t* info, SignalMarks* marks) noexcept {
  SignalMarks first_marks;
  const int number = first(wanted, &first_marks);
  if (number == 0) return 0;
  std::memset(info, 0, sizeof *info);
  info->si_signo = number;
  info->si_code = SI_USER;
  if (marks != nullptr) *marks = first_marks;
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
      (previous == nullptr ? head_ : previous->next) = next;
      if (tail_ == entry) tail_ = previous;
      free_entry(entry);
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

void SignalQueue::drop_expirations(int timer) noexcept {
  Entry* previous = nullptr;
  uint64_t left = 0;
  for (Entry* entry = head_; entry != nullptr;) {
    Entry* next = entry->next;
    if (entry->marks.is_expiration && entry->info.si_timerid == timer) {
      (previous == nullptr ? head_ : previous->next) = next;
      if (tail_ == entry) tail_ = previous;
      set_ &= ~signal_bit(entry->info.si_signo);
      free_entry(entry);
    } else {
      left |= signal_bit(entry->info.si_signo);
      previous = entry;
    }
    entry = next;
  }
  set_ |= left;
}

}  // namespace tendril::kernel
