// Open files that outlive their numbers, because somebody waits on them.
//
// The Linux kernel holds the open file while a call waits on it, whatever becomes of the number:
// the other end of a pipe that is closed under its reader does not break, and the reader hears of
// what is written, or of the end. So who has waited holds the file until its call is over, and
// whoever closes or replaces a number that is held has it kept under another one, that the program
// does not see. The holders follow it there, each when it runs next; the last one to let go closes
// it.
//
// Who has not waited yet holds nothing: that its number is closed just then is as if it had called
// after that.
#include "runtime/hub/hidden_descriptors.hpp"
#include "runtime/hub/poller.hpp"
#include "runtime/platform/runtime_mode.hpp"

namespace tendril::rt {

bool Poller::hold(FdState& s, uint32_t generation) noexcept {
  SpinGuard guard(s.lock);
  if (s.generation != generation) return false;
  hold_locked(s);
  return true;
}

// Precondition: s.lock held; nobody else knows of `keeper` yet. The present owner's holders are to
// follow its file there. False: there are none.
bool Poller::keep_locked(FdState& s, int keeper) noexcept {
  const uint32_t holders = s.holders.load(std::memory_order_relaxed);
  FdState* k = keeper >= 0 ? state_if_known(keeper) : nullptr;
  if (holders == 0 || k == nullptr) return false;
  k->holders.store(holders, std::memory_order_relaxed);
  k->kept.generation = s.generation;
  k->kept.unclaimed = holders;
  k->kept.next_and_one = s.kept.first_and_one;
  s.kept.first_and_one = static_cast<uint32_t>(keeper) + 1;
  kept_files_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

// Precondition: s.lock held.
int Poller::claim_kept(FdState& s, uint32_t generation) noexcept {
  uint32_t* link = &s.kept.first_and_one;
  while (*link != 0) {
    const int keeper = static_cast<int>(*link - 1);
    FdState::Kept& kept = state_if_known(keeper)->kept;
    if (kept.generation == generation) {
      if (--kept.unclaimed == 0) *link = kept.next_and_one;
      return keeper;
    }
    link = &kept.next_and_one;
  }
  return -1;
}

int Poller::follow(FdState& s, uint32_t generation) noexcept {
  SpinGuard guard(s.lock);
  return claim_kept(s, generation);
}

// Precondition: s.lock held.
Poller::Dropped Poller::drop_locked(FdState& s, uint32_t generation) noexcept {
  if (s.generation == generation) return {.was_last = drop_hold_locked(s)};
  return {.keeper = claim_kept(s, generation)};
}

void Poller::finish_drop(int fd, Dropped dropped) noexcept {
  if (dropped.keeper >= 0) {
    FdState& k = *state_if_known(dropped.keeper);
    release(dropped.keeper, k, k.generation);
  } else if (dropped.was_last && is_hidden_descriptor(fd)) {
    kept_files_.fetch_sub(1, std::memory_order_relaxed);
    close_keeper(fd);
  }
}

void Poller::release(int fd, FdState& s, uint32_t generation) noexcept {
  RuntimeSection section;
  Dropped dropped;
  {
    SpinGuard guard(s.lock);
    dropped = drop_locked(s, generation);
  }
  finish_drop(fd, dropped);
}

void Poller::end_poll(int fd, FdState& s, PollWaiter& waiter) noexcept {
  RuntimeSection section;
  Dropped dropped;
  {
    SpinGuard guard(s.lock);
    unlink_locked(s, waiter);
    if (waiter.holds) dropped = drop_locked(s, waiter.generation);
  }
  finish_drop(fd, dropped);
}

void Poller::close_keeper(int fd) noexcept {
  forget(fd);
  close_hidden_descriptor(fd);
}

// The parent's threads wait there, none here. The child has had them since fork, if not for long.
void Poller::close_kept_after_fork() noexcept {
  if (kept_files_.load(std::memory_order_relaxed) == 0) return;
  for (size_t i = 0; i < kChunks; ++i) {
    FdState* chunk = chunk_at(i);
    if (chunk == nullptr) continue;
    for (size_t n = 0; n < kChunk; ++n) {
      const int fd = static_cast<int>(i * kChunk + n);
      if (is_held(chunk[n]) && is_hidden_descriptor(fd)) close_hidden_descriptor(fd);
    }
  }
}

}  // namespace tendril::rt
