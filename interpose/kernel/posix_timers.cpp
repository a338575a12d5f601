#include "interpose/kernel/posix_timers.hpp"

#include "interpose/kernel/signal_queue.hpp"
#include "runtime/memory/allocator.hpp"

namespace tendril::kernel {

PosixTimers& posix_timers() noexcept {
  static constinit PosixTimers instance;
  return instance;
}

PosixTimers::Entry* PosixTimers::find(int timer) noexcept {
  for (Entry* entry = first_; entry != nullptr; entry = entry->next) {
    if (entry->timer == timer) return entry;
  }
  return nullptr;
}

bool PosixTimers::add(int timer, int tid, int clock_tid) noexcept {
  auto* entry = rt::runtime_new<Entry>();
  if (entry == nullptr) return false;
  rt::SpinGuard guard(lock_);
  *entry = {timer, tid, clock_tid, /*signal=*/0, /*overruns=*/0, first_};
  first_ = entry;
  if (timer < first_made_) first_made_ = timer;
  return true;
}

int PosixTimers::target(int timer) noexcept {
  rt::SpinGuard guard(lock_);
  if (const Entry* entry = find(timer); entry != nullptr) return entry->tid;
  return is_older(timer) ? 0 : kGone;
}

int PosixTimers::clock_of(int timer) noexcept {
  rt::SpinGuard guard(lock_);
  const Entry* entry = find(timer);
  return entry != nullptr ? entry->clock_tid : 0;
}

void PosixTimers::note_arrival(int timer, int signal) noexcept {
  rt::SpinGuard guard(lock_);
  Entry* entry = find(timer);
  if (entry == nullptr && is_older(timer)) {  // it is known from now on
    entry = rt::runtime_new<Entry>();
    if (entry == nullptr) return;
    *entry = {timer, /*tid=*/0, /*clock_tid=*/0, signal, /*overruns=*/0, first_};
    first_ = entry;
  }
  if (entry != nullptr) entry->signal = signal;
}

void PosixTimers::note_delivery(int timer, int overruns) noexcept {
  rt::SpinGuard guard(lock_);
  if (Entry* entry = find(timer); entry != nullptr) entry->overruns = overruns;
}

bool PosixTimers::overruns(int timer, uint64_t left_to_kernel, int* count) noexcept {
  rt::SpinGuard guard(lock_);
  const Entry* entry = find(timer);
  if (entry == nullptr || entry->signal == 0) return false;
  if ((left_to_kernel & signal_bit(entry->signal)) != 0) return false;
  *count = entry->overruns;
  return true;
}

void PosixTimers::remove(int timer) noexcept {
  rt::SpinGuard guard(lock_);
  for (Entry** link = &first_; *link != nullptr; link = &(*link)->next) {
    if ((*link)->timer != timer) continue;
    Entry* gone = *link;
    *link = gone->next;
    rt::runtime_delete(gone);
    return;
  }
}

void PosixTimers::reset_after_fork() noexcept {
  lock_.reset_after_fork();
  first_ = nullptr;  // POSIX: timers are not inherited
  first_made_ = INT_MAX;
}

}  // namespace tendril::kernel
