#include "runtime/hub/poller.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <new>

#include "runtime/hub/hidden_descriptors.hpp"
#include "runtime/hub/interruptible_call.hpp"
#include "runtime/hub/park.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/memory/pages.hpp"
#include "runtime/memory/reserve.hpp"
#include "runtime/platform/prefetch.hpp"
#include "runtime/platform/runtime_mode.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::rt {
namespace {

// epoll's data word: | generation 32 | fd 32 |; internal descriptors have fd = -1.
constexpr uint64_t pack(int fd, uint32_t generation) noexcept {
  return uint64_t{generation} << 32 | static_cast<uint32_t>(fd);
}
constexpr uint32_t kInternalFd = UINT32_MAX;

constexpr uint32_t kAllEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;
constexpr uint32_t kReadEvents = EPOLLIN | EPOLLRDHUP | EPOLLPRI | EPOLLHUP | EPOLLERR;
constexpr uint32_t kWriteEvents = EPOLLOUT | EPOLLHUP | EPOLLERR;

// The end, an error or urgent data may follow what a short read has taken, without an edge of their
// own. Who has seen the edge that they came with has seen the note of them as well.
constexpr uint32_t kEndEvents = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

constexpr int kEventBatch = 256;

// A count that is written under a lock only: an operation on the bus would cost 8 ns and keep the
// misses around it from overlapping.
void add_under_lock(std::atomic<uint32_t>& count, uint32_t change) noexcept {
  count.store(count.load(std::memory_order_relaxed) + change, std::memory_order_release);
}

}  // namespace

Poller* Poller::create() noexcept {
  void* pages = map_pages(round_up_to_page(sizeof(Poller)));
  if (pages == nullptr) return nullptr;
  auto* poller = new (pages) Poller;
  const long epoll = raw_syscall(SYS_epoll_create1, EPOLL_CLOEXEC);
  const long doorbell = raw_syscall(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (epoll < 0 || doorbell < 0) {
    if (epoll >= 0) raw_syscall(SYS_close, epoll);
    if (doorbell >= 0) raw_syscall(SYS_close, doorbell);
    unmap_pages(pages, round_up_to_page(sizeof(Poller)));
    return nullptr;
  }
  poller->epoll_fd_ = hide_descriptor(static_cast<int>(epoll));
  poller->doorbell_fd_ = hide_descriptor(static_cast<int>(doorbell));
  // Unwatched, the bell would wake nobody, and a hub sleep for ever.
  if (!poller->watch_internal(poller->doorbell_fd_, Internal::kDoorbell)) {
    destroy(poller);
    return nullptr;
  }
  return poller;
}

void Poller::destroy(Poller* poller) noexcept {
  poller->abandon_after_fork();
  unmap_pages(poller, round_up_to_page(sizeof(Poller)));
}

bool Poller::watch_internal(int fd, Internal tag) noexcept {
  epoll_event event{};
  event.events = tag == Internal::kLoop ? EPOLLIN : EPOLLIN | EPOLLET;
  event.data.u64 = uint64_t{kInternalFd} | static_cast<uint64_t>(tag) << 32;
  return raw_syscall(SYS_epoll_ctl, epoll_fd_, EPOLL_CTL_ADD, fd, &event) == 0;
}

void Poller::ring() noexcept {
  const uint64_t one = 1;
  raw_syscall(SYS_write, doorbell_fd_, &one, sizeof one);
}

FdState* Poller::make_state(int fd) noexcept {
  const auto number = static_cast<size_t>(static_cast<unsigned>(fd));
  if (fd < 0 || number >= kChunks * kChunk) return nullptr;
  SpinGuard guard(grow_lock_);
  if (chunk_at(number >> kChunkBits) == nullptr) {
    void* pages = map_vital_pages(round_up_to_page(kChunk * sizeof(FdState)));
    if (pages == nullptr) return nullptr;
    __atomic_store_n(&chunks_[number >> kChunkBits], static_cast<FdState*>(pages),
                     __ATOMIC_RELEASE);
  }
  return state_if_known(fd);
}

// Precondition: s.lock held. True if the edges that are wanted will be reported.
bool Poller::ensure_registered(int fd, FdState& s, uint32_t wanted) noexcept {
  if (s.told_here && waits_for_teller(fd, s, wanted)) return true;
  if (s.on_demand != FdState::kNever) spend_wait_on_demand(s, wanted);
  return s.armed || arm(fd, s);
}

long Poller::control(int operation, int fd, const FdState& s, uint32_t events) const noexcept {
  epoll_event event{};
  event.events = events;
  event.data.u64 = pack(fd, s.generation);
  return raw_syscall(SYS_epoll_ctl, epoll_fd_, operation, fd, &event);
}

bool Poller::is_for_reads(uint32_t wanted) noexcept { return (wanted & ~kReadEvents) == 0; }

// Precondition: s.lock held. True if the set will report the descriptor's edges.
bool Poller::arm(int fd, FdState& s) noexcept {
  const bool once = s.on_demand != FdState::kNever || s.told_here;
  const uint32_t events = once ? kReadEvents | EPOLLET | EPOLLONESHOT : kAllEvents;
  // The usual case is the other one if an earlier owner of the same open file was replaced behind
  // our back, or if ours was.
  long result = control(s.registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, s, events);
  if (result == -EEXIST) result = control(EPOLL_CTL_MOD, fd, s, events);
  if (result == -ENOENT) result = control(EPOLL_CTL_ADD, fd, s, events);
  if (result == -EPERM) s.always_ready = true;
  s.registered = s.armed = result == 0;
  if (!s.registered) {  // no edge will ever say that there is something again
    s.drained[0].store(0, std::memory_order_relaxed);
    s.drained[1].store(0, std::memory_order_relaxed);
  }
  return s.registered;
}

WakeReason Poller::wait(int fd, FdState& s, uint32_t generation, Direction d, uint32_t seen,
                        Deadline deadline, CallWait* call) noexcept {
  RuntimeSection section;
  const int side = static_cast<int>(d);
  Waiter waiter;
  Worker* worker = current_worker_unchecked();
  bool alone = false;
  bool registered = false;
  bool waits = false;
  bool queued = false;
  waiter.token = begin_wait(d == Direction::kRead ? WaitKind::kReadable : WaitKind::kWritable,
                            reinterpret_cast<const void*>(static_cast<intptr_t>(fd)));
  {
    SpinGuard guard(s.lock);
    WakeReason at_once = WakeReason::kNone;
    if (s.generation != generation) {
      at_once = WakeReason::kClosed;
    } else if (edges(s, d) != seen) {
      at_once = WakeReason::kWoken;
    } else {
      alone = worker->reserved && call != nullptr && waits_alone(fd, s, *call);
      registered = alone || ensure_registered(fd, s, d == Direction::kRead ? EPOLLIN : EPOLLOUT);
      if (s.always_ready) at_once = WakeReason::kWoken;
    }
    if (at_once != WakeReason::kNone) {
      if (cancel_wait(waiter.token)) return at_once;
      // An interrupt came first: fall through to park, which collects it.
    } else {
      queued = s.waiting[side].load(std::memory_order_relaxed) != 0;
      if (queued) {
        s.queue[side].push_back(&waiter);
      } else {
        s.first[side] = waiter.token;
      }
      add_under_lock(s.waiting[side], 1);
      if (call != nullptr && !call->holds) {
        hold_locked(s);
        call->holds = true;
      }
      waits = true;
      waiters_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  Deadline until = deadline;
  const bool slow_poll = waits && !registered;
  if (slow_poll) {
    const Deadline soon = deadline_after(kUnregisteredRetry);
    if (soon < until) until = soon;
  }
  if (alone && waits) worker->await(fd, d == Direction::kRead ? POLLIN : POLLOUT, waiter.token);
  const WakeReason reason = park(until);
  if (alone) worker->await(-1, 0, {});
  if (call != nullptr && call->in_vain < UINT8_MAX) ++call->in_vain;
  // Others who wake for a reason of the descriptor's have taken us out before.
  if (waits && (alone || (reason != WakeReason::kWoken && reason != WakeReason::kClosed))) {
    SpinGuard guard(s.lock);
    // What has ended our wait no edge has told.
    if (alone && reason == WakeReason::kWoken && s.generation == generation) {
      add_under_lock(s.edges[side], 1);
    }
    const bool still_first = !queued && s.first[side].fiber == waiter.token.fiber &&
                             s.first[side].open_word == waiter.token.open_word;
    if (still_first) s.first[side].fiber = nullptr;
    const bool still_queued = waiter.linked();
    if (still_queued) IntrusiveList<Waiter>::remove(&waiter);
    if (still_first || still_queued) {
      add_under_lock(s.waiting[side], -1U);
      waiters_.fetch_sub(1, std::memory_order_relaxed);
    }
  }
  if (slow_poll && reason == WakeReason::kTimeout && until != deadline) return WakeReason::kWoken;
  return reason;
}

// Other streams end a read before something special, as a Unix socket before descriptors.
FdState::Rest Poller::ask_rest(int fd, FdState& s, uint32_t generation) noexcept {
  RuntimeSection section;
  int protocol = 0;
  socklen_t size = sizeof protocol;
  const bool is_tcp =
      raw_syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
      protocol == IPPROTO_TCP;
  SpinGuard guard(s.lock);
  if (s.generation != generation) return FdState::Rest::kMaybeSome;
  if (s.rest.load(std::memory_order_relaxed) == FdState::Rest::kNotAsked) {
    s.rest.store(is_tcp ? FdState::Rest::kNothing : FdState::Rest::kMaybeSome,
                 std::memory_order_relaxed);
  }
  return s.rest.load(std::memory_order_relaxed);
}

bool Poller::is_readable(int fd) noexcept {
  pollfd probe{fd, POLLIN, 0};
  const timespec none{};
  return raw_syscall(SYS_ppoll, &probe, 1, &none, nullptr, 0) != 0;
}

bool Poller::add_poller(int fd, FdState& s, PollWaiter& waiter) noexcept {
  SpinGuard guard(s.lock);
  if (!waiter.holds) {
    waiter.holds = true;
    waiter.generation = s.generation;
    hold_locked(s);
  }
  if (!ensure_registered(fd, s, waiter.events)) return s.always_ready;
  waiter.added_at = polls_.load(std::memory_order_acquire);
  s.pollers.push_back(&waiter);
  s.polled = true;
  waiters_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void Poller::remove_poller(FdState& s, PollWaiter& waiter) noexcept {
  SpinGuard guard(s.lock);
  unlink_locked(s, waiter);
}

// Precondition: s.lock held.
void Poller::unlink_locked(FdState& s, PollWaiter& waiter) noexcept {
  if (!waiter.linked()) return;
  IntrusiveList<PollWaiter>::remove(&waiter);
  s.polled = !s.pollers.empty();
  waiters_.fetch_sub(1, std::memory_order_relaxed);
}

// Precondition: s.lock held. Takes out who has waited longest; false if nobody waits.
bool Poller::take_waiter(FdState& s, int side, WaitToken* token) noexcept {
  if (s.waiting[side].load(std::memory_order_relaxed) == 0) return false;
  if (s.first[side].fiber != nullptr) {
    *token = s.first[side];
    s.first[side].fiber = nullptr;
  } else {
    *token = s.queue[side].pop_front()->token;
  }
  add_under_lock(s.waiting[side], -1U);
  waiters_.fetch_sub(1, std::memory_order_relaxed);
  return true;
}

// A waiter's node lives on its stack: the waker unlinks it under the lock, before the wake, and
// does not look at it again (the token is read first; the call passes it by value).
void Poller::wake_next(FdState& s, Direction d) noexcept {
  const int side = static_cast<int>(d);
  SpinGuard guard(s.lock);
  for (WaitToken token; take_waiter(s, side, &token);) {
    if (wake(token)) break;
  }
}

void Poller::let_try(FdState& s, Direction d) noexcept {
  RuntimeSection section;
  const int side = static_cast<int>(d);
  SpinGuard guard(s.lock);
  add_under_lock(s.edges[side], 1);  // for those who are still on their way to wait
  for (WaitToken token; take_waiter(s, side, &token);) {
    if (wake(token)) break;
  }
}

// Precondition: s.lock held.
uint32_t Poller::forget_locked(int fd, FdState& s, Registration registration) noexcept {
  if (s.registered && registration == Registration::kStays) {
    control(EPOLL_CTL_DEL, fd, s, 0);
  }
  s.registered = s.armed = false;
  s.always_ready = false;
  s.in_vain = 0;
  s.on_demand = FdState::kNever;
  s.told_here = false;
  s.other_end.store({}, std::memory_order_relaxed);
  s.trying.store(FdState::Trying::kNobody, std::memory_order_relaxed);
  s.rest.store(FdState::Rest::kNotAsked, std::memory_order_relaxed);
  s.transfers_as.store(FdState::Transfers::kUnknown, std::memory_order_relaxed);
  s.facts.store(0, std::memory_order_relaxed);
  s.holders.store(0, std::memory_order_relaxed);
  for (int side = 0; side < 2; ++side) {
    s.drained[side].store(0, std::memory_order_relaxed);
    for (WaitToken token; take_waiter(s, side, &token);) wake(token, WakeReason::kClosed);
  }
  while (PollWaiter* waiter = s.pollers.pop_front()) {
    waiters_.fetch_sub(1, std::memory_order_relaxed);
    wake(waiter->token, WakeReason::kClosed);
  }
  s.polled = false;
  while (Waiter* waiter = s.transfers.pop_front()) {
    waiters_.fetch_sub(1, std::memory_order_relaxed);
    wake(waiter->token, WakeReason::kClosed);
  }
  return ++s.generation;
}

uint32_t Poller::forget(int fd, Registration registration, int keeper) noexcept {
  RuntimeSection section;
  FdState* s = state_if_known(fd);
  if (s == nullptr) return 0;
  end_wait_of_other_end(*s);
  bool is_kept;
  uint32_t next;
  {
    SpinGuard guard(s->lock);
    is_kept = keep_locked(*s, keeper);
    next = forget_locked(fd, *s, registration);
  }
  if (keeper >= 0 && !is_kept) close_keeper(keeper);
  return next;
}

void Poller::closed(int fd, uint32_t generation) noexcept {
  RuntimeSection section;
  FdState* s = state_if_known(fd);
  if (s == nullptr) return;
  SpinGuard guard(s->lock);
  if (s->generation == generation && s->registered) forget_locked(fd, *s, Registration::kStays);
}

// A number that is new to the kernel cannot be registered: if it is, its last owner was closed
// behind our back, or is being closed by another worker.
void Poller::begin_anew(int fd, FdState::Rest rest) noexcept {
  RuntimeSection section;
  FdState* s = state_if_known(fd);
  if (s == nullptr) return;
  SpinGuard guard(s->lock);
  if (s->registered) {
    forget_locked(fd, *s, Registration::kStays);
  } else {
    s->in_vain = 0;
    s->on_demand = FdState::kNever;
    s->told_here = false;
    s->other_end.store({}, std::memory_order_relaxed);
    s->trying.store(FdState::Trying::kNobody, std::memory_order_relaxed);
    s->transfers_as.store(FdState::Transfers::kUnknown, std::memory_order_relaxed);
    s->drained[0].store(0, std::memory_order_relaxed);
    s->drained[1].store(0, std::memory_order_relaxed);
    s->holders.store(0, std::memory_order_relaxed);
    ++s->generation;
  }
  s->rest.store(rest, std::memory_order_relaxed);
}

void Poller::on_event(uint64_t data, uint32_t events, uint64_t asked_at,
                      bool woke_for_it) noexcept {
  const int fd = static_cast<int>(data & UINT32_MAX);
  FdState* s = state_if_known(fd);
  if (s == nullptr) return;
  SpinGuard guard(s->lock);
  if (s->generation != static_cast<uint32_t>(data >> 32)) return;  // a former owner's
  if (s->on_demand != FdState::kNever || s->told_here) s->armed = false;
  const bool untold = is_untold(*s, events);
  if (woke_for_it && !anybody_waits(*s)) note_edge_in_vain(fd, *s);
  on_edges(*s, events, asked_at);
  if (s->told_here) {
    go_on_after_edge(fd, *s, untold);
  } else if (s->on_demand != FdState::kNever) {
    go_on_on_demand(fd, *s);
  }
}

// Precondition: s.lock held.
void Poller::on_edges(FdState& s, uint32_t events, uint64_t asked_at) noexcept {
  const bool broken = (events & (EPOLLHUP | EPOLLERR)) != 0;
  if ((events & EPOLLPRI) != 0) {
    s.rest.store(FdState::Rest::kMaybeUrgent, std::memory_order_relaxed);
  } else if ((events & kEndEvents) != 0 &&
             s.rest.load(std::memory_order_relaxed) != FdState::Rest::kMaybeUrgent) {
    s.rest.store(FdState::Rest::kMaybeSome, std::memory_order_relaxed);
  }
  bool others_hear = false;
  for (const Direction d : {Direction::kRead, Direction::kWrite}) {
    const int side = static_cast<int>(d);
    if ((events & (d == Direction::kRead ? kReadEvents : kWriteEvents)) == 0) continue;
    add_under_lock(s.edges[side], 1);
    for (WaitToken token; take_waiter(s, side, &token);) {
      others_hear = true;
      if (wake(token) && !broken) break;
    }
  }
  if (!s.polled) return;
  // Of several who hear of it one may be faster, and leave nothing: the others look.
  const bool says_it_all = !others_hear && s.pollers.after(s.pollers.front()) == nullptr;
  for (PollWaiter* waiter = s.pollers.front(); waiter != nullptr;) {
    PollWaiter* next = s.pollers.after(waiter);
    if (broken || (waiter->events & events) != 0) {
      IntrusiveList<PollWaiter>::remove(waiter);
      waiters_.fetch_sub(1, std::memory_order_relaxed);
      if (says_it_all && asked_at > waiter->added_at) waiter->told = events;
      wake(waiter->token);
    }
    waiter = next;
  }
  s.polled = !s.pollers.empty();
}

// What on_event will touch in a moment: the descriptor's state, and when that is here, the fiber
// that waits. It is looked at without the lock, as a hint: fibers are never unmapped.
void Poller::prefetch_for(const epoll_event* events, long count, long at) const noexcept {
  constexpr long kStates = 8;
  constexpr long kFibers = 4;
  const auto state_of = [&](long index) -> FdState* {
    const auto fd = static_cast<uint32_t>(events[index].data.u64);
    if (index >= count || fd >= kChunks * kChunk) return nullptr;
    FdState* chunk = chunk_at(fd >> kChunkBits);
    return chunk != nullptr ? &chunk[fd & (kChunk - 1)] : nullptr;
  };
  if (at + kStates < count) {
    if (const FdState* s = state_of(at + kStates)) prefetch(s);
  }
  if (at + kFibers < count) {
    const FdState* s = state_of(at + kFibers);
    if (s == nullptr) return;
    if (const Fiber* fiber = __atomic_load_n(&s->first[0].fiber, __ATOMIC_RELAXED)) {
      prefetch(fiber);
      prefetch(&fiber->wait_word);
    }
  }
}

void Poller::nudge(int fd) noexcept {
  FdState* s = state_if_known(fd);
  if (s == nullptr) return;
  SpinGuard guard(s->lock);
  on_edges(*s, EPOLLHUP | EPOLLERR, kNeverAsked);
}

void Poller::nudge_all() noexcept {
  for (size_t i = 0; i < kChunks; ++i) {
    if (chunk_at(i) == nullptr) continue;
    for (size_t n = 0; n < kChunk; ++n) nudge(static_cast<int>(i * kChunk + n));
  }
}

Poller::Outcome Poller::poll(const volatile int* interrupted, Nanoseconds timeout) noexcept {
  epoll_event events[kEventBatch];
  const timespec limit = to_timespec(timeout == kForever ? 0 : timeout);
  const long arguments[6] = {epoll_fd_,   reinterpret_cast<long>(events),
                             kEventBatch, timeout == kForever ? 0 : reinterpret_cast<long>(&limit),
                             0,           0};
  const uint64_t asked_at = polls_.fetch_add(1, std::memory_order_acq_rel) + 1;
  const long count = interruptible_call(interrupted, SYS_epoll_pwait2, arguments);
  Outcome outcome;
  outcome.events = count > 0 ? count : 0;
  for (long i = 0; i < count; ++i) {
    prefetch_for(events, count, i);
    const uint64_t data = events[i].data.u64;
    if (static_cast<uint32_t>(data) != kInternalFd) {
      on_event(data, events[i].events, asked_at, timeout != 0 && count == 1);
    } else {
      const auto tag = static_cast<Internal>(data >> 32);
      outcome.loop_has_work = outcome.loop_has_work || tag == Internal::kLoop;
      outcome.rung = outcome.rung || tag == Internal::kDoorbell;
    }
  }
  return outcome;
}

void Poller::abandon_after_fork() noexcept {
  close_kept_after_fork();
  for (const int fd : {epoll_fd_, doorbell_fd_}) {
    close_hidden_descriptor(fd);
  }
}

}  // namespace tendril::rt
