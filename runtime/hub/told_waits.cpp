// Waits for what another thread of the process will write, see Poller::join_ends.
//
// Such a wait is armed, that is, the Linux kernel is asked to tell of an edge, when a look some
// milliseconds after the last one has found that there was none meanwhile; then once. While any is
// not armed a timer is, for the next look. So an edge that nobody told of, by another process that
// has the descriptor by now, by the Linux kernel itself, or by a way that we do not know, comes
// late, and twice at most: then the descriptor is one like others.
#include <sys/epoll.h>

#include <utility>

#include "runtime/hub/fatal.hpp"
#include "runtime/hub/poller.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/platform/runtime_mode.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::rt {
namespace {

constexpr Nanoseconds kBetweenLooks = 4'000'000;
constexpr int kMostUntold = 2;

// What wakes all who wait, to try again.
constexpr uint32_t kWakesAll = EPOLLHUP | EPOLLERR;

}  // namespace

bool Poller::waits_to_read_only(FdState& s) noexcept {
  if (s.waiting[1].load(std::memory_order_relaxed) != 0) return false;
  for (PollWaiter* waiter = s.pollers.front(); waiter != nullptr;
       waiter = s.pollers.after(waiter)) {
    if (!is_for_reads(waiter->events)) return false;
  }
  return true;
}

bool Poller::anybody_waits(const FdState& s) noexcept {
  return s.polled || s.waiting[0].load(std::memory_order_relaxed) != 0 ||
         s.waiting[1].load(std::memory_order_relaxed) != 0;
}

void Poller::join_ends(int from, int to) noexcept {
  RuntimeSection section;
  FdState* writer = state_if_known(from);
  FdState* reader = state_if_known(to);
  if (writer == nullptr || reader == nullptr) return;
  SpinGuard guard(reader->lock);
  writer->other_end.store({static_cast<uint32_t>(to) + 1, reader->generation},
                          std::memory_order_relaxed);
  if (!polled_here_ || reader->told_here || !waits_to_read_only(*reader)) return;
  reader->told.number = to;
  reader->told.times_shared = times_shared_.load(std::memory_order_seq_cst);
  reader->told.untold = 0;
  reader->told_here = true;
  if (anybody_waits(*reader)) {
    if (!arm(to, *reader)) return stop_telling_locked(to, *reader);
    reader->told.edges = reader->edges[0].load(std::memory_order_relaxed);
  } else if (reader->registered) {
    control(EPOLL_CTL_DEL, to, *reader, 0);
    reader->registered = reader->armed = false;
  }
}

void Poller::copy_other_end(int from, int to) noexcept {
  const FdState* source = state_if_known(from);
  FdState* target = state_if_known(to);
  if (source == nullptr || target == nullptr) return;
  target->other_end.store(source->other_end.load(std::memory_order_relaxed),
                          std::memory_order_relaxed);
}

// The edge counts even if nobody waits: somebody may have tried in vain, and be about to. Where the
// Linux kernel tells as well, and has woken a worker for it already, that one is to find somebody.
void Poller::tell_other_end(const FdState& s) noexcept {
  const FdState::OtherEnd other = s.other_end.load(std::memory_order_relaxed);
  if (other.number_and_one == 0) return;
  FdState* reader = state_if_known(static_cast<int>(other.number_and_one - 1));
  if (reader == nullptr || !reader->told_here) return;
  SpinGuard guard(reader->lock);
  if (reader->told_here && reader->generation == other.generation) {
    on_edges(*reader, EPOLLIN, kNeverAsked);
  }
}

// Precondition: s.lock held. True if the wait is one that is told of here; it may last, though.
bool Poller::waits_for_teller(int fd, FdState& s, uint32_t wanted) noexcept {
  const bool is_told = is_for_reads(wanted) && !current_worker_unchecked()->reserved &&
                       s.told.times_shared == times_shared_.load(std::memory_order_seq_cst);
  if (!is_told) {
    stop_telling_locked(fd, s);
  } else if (!s.armed) {
    list_unarmed(s);
  }
  return is_told;
}

// Precondition: s.lock held.
void Poller::list_unarmed(FdState& s) noexcept {
  if (s.unarmed) return;
  s.unarmed = true;
  s.told.looked_at = false;
  {
    SpinGuard guard(unarmed_lock_);
    s.told.next = unarmed_;
    unarmed_ = &s;
  }
  plan_look();
}

// Precondition: s.lock held. Who waits already is told of by the Linux kernel from now on.
void Poller::stop_telling_locked(int fd, FdState& s) noexcept {
  if (!s.told_here) return;
  s.told_here = false;
  s.armed = false;
  if (anybody_waits(s) && !arm(fd, s)) on_edges(s, kWakesAll, kNeverAsked);
}

void Poller::stop_telling(int fd) noexcept {
  RuntimeSection section;
  FdState* s = state_if_known(fd);
  if (s == nullptr) return;
  end_wait_of_other_end(*s);
  SpinGuard guard(s->lock);
  stop_telling_locked(fd, *s);
}

// The descriptor is about to go, and what that means to its other end the Linux kernel tells.
void Poller::end_wait_of_other_end(const FdState& s) noexcept {
  const FdState::OtherEnd other = s.other_end.load(std::memory_order_relaxed);
  if (other.number_and_one == 0) return;
  const int fd = static_cast<int>(other.number_and_one - 1);
  FdState* reader = state_if_known(fd);
  if (reader == nullptr || reader == &s) return;
  SpinGuard guard(reader->lock);
  if (reader->generation == other.generation) stop_telling_locked(fd, *reader);
}

void Poller::shared_outside() noexcept {
  RuntimeSection section;
  times_shared_.fetch_add(1, std::memory_order_seq_cst);
  arm_unarmed(Age::kAny);
}

// Takes the list: what stays in it is put back.
void Poller::arm_unarmed(Age which) noexcept {
  FdState* list;
  {
    SpinGuard guard(unarmed_lock_);
    list = std::exchange(unarmed_, nullptr);
  }
  while (list != nullptr) {
    FdState& s = *list;
    list = s.told.next;
    SpinGuard guard(s.lock);
    s.unarmed = false;
    if (!s.told_here || s.armed || !anybody_waits(s)) continue;
    const uint32_t edges = s.edges[0].load(std::memory_order_relaxed);
    const bool is_shared = s.told.times_shared != times_shared_.load(std::memory_order_seq_cst);
    const bool has_lasted = s.told.looked_at && s.told.edges == edges;
    s.told.edges = edges;
    if (!is_shared && which == Age::kLasting && !has_lasted) {
      list_unarmed(s);
      s.told.looked_at = true;
    } else if (is_shared || !arm(s.told.number, s)) {
      stop_telling_locked(s.told.number, s);
    }
  }
}

bool Poller::is_untold(const FdState& s, uint32_t events) noexcept {
  return (events & EPOLLIN) != 0 && s.told.edges == s.edges[0].load(std::memory_order_relaxed);
}

// Precondition: s.lock held, and it is told here. It is not armed any more, and somebody may wait
// whom that edge did not wake. An edge that nobody here has told of: it takes two, for who writes
// and has not come to tell yet may be overtaken once.
void Poller::go_on_after_edge(int fd, FdState& s, bool untold) noexcept {
  if (untold && ++s.told.untold >= kMostUntold) {
    stop_telling_locked(fd, s);
  } else if (anybody_waits(s)) {
    list_unarmed(s);
  }
}

// By a timer, which whoever sleeps or computes will not miss.
void Poller::plan_look() noexcept {
  if (look_is_planned_.exchange(true, std::memory_order_seq_cst)) return;
  look_.poller = this;
  look_.fire = on_look;
  if (!current_worker_unchecked()->timers.arm(&look_, deadline_after(kBetweenLooks), 0)) {
    fatal("out of memory for timers");
  }
}

void Poller::on_look(Timer* timer, uint64_t) noexcept {
  Poller* poller = static_cast<Look*>(timer)->poller;
  poller->look_is_planned_.store(false, std::memory_order_seq_cst);
  poller->arm_unarmed(Age::kLasting);
}

}  // namespace tendril::rt
