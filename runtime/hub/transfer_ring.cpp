#include "runtime/hub/transfer_ring.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>

#include "runtime/hub/fatal.hpp"
#include "runtime/hub/interruptible_call.hpp"
#include "runtime/hub/park.hpp"
#include "runtime/memory/pages.hpp"
#include "runtime/platform/prefetch.hpp"
#include "runtime/platform/runtime_mode.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::rt {
namespace {

constexpr uint32_t kEntries = 512;       // more are handed over in parts
constexpr uint32_t kCompletions = 4096;  // what does not fit the kernel keeps

// Whom a completion is for: a fiber, or one of these.
constexpr uint64_t kNobody = 0;
constexpr uint64_t kThePoller = 1;

}  // namespace

TransferRing* TransferRing::create_if_wanted(Poller& poller) noexcept {
  const char* wanted = getenv("TENDRIL_IO_URING");
  if (wanted == nullptr || __builtin_strcmp(wanted, "1") != 0) return nullptr;
  long error = 0;
  TransferRing* ring = create(poller, &error);
  if (ring != nullptr) return ring;
  static std::atomic<bool> said{false};
  if (!said.exchange(true)) {
    char line[] = "tendril: no io_uring for TENDRIL_IO_URING=1 (error ***): epoll it is\n";
    char* digit = __builtin_strstr(line, "***") + 2;
    for (int i = 0; i < 3; ++i, error /= 10) *digit-- = static_cast<char>('0' + error % 10);
    raw_syscall(SYS_write, 2, line, sizeof line - 1);
  }
  return nullptr;
}

TransferRing* TransferRing::create(Poller& poller, long* error) noexcept {
  void* pages = map_pages(round_up_to_page(sizeof(TransferRing)));
  *error = ENOMEM;
  if (pages == nullptr) return nullptr;
  auto* ring = new (pages) TransferRing(poller);
  // One OS thread hands over and collects, and the kernel does its part of the work while that one
  // is in there: no interrupts of the fibers that run.
  *error = -ring->ring_.open(kEntries, kCompletions,
                             IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL);
  if (*error != 0) {
    unmap_pages(pages, round_up_to_page(sizeof(TransferRing)));
    return nullptr;
  }
  poller.events_are_awaited_elsewhere();
  ring->watch_poller();
  return ring;
}

void TransferRing::destroy(TransferRing* ring) noexcept {
  ring->ring_.close();
  unmap_pages(ring, round_up_to_page(sizeof(TransferRing)));
}

TransferRing* TransferRing::replace_after_fork(TransferRing* ring, Poller& poller) noexcept {
  destroy(ring);  // the child's view of it: nothing is handed over or taken back
  return create_if_wanted(poller);
}

void TransferRing::submit() noexcept {
  const uint32_t count = ring_.queued();
  if (count != 0) raw_syscall(SYS_io_uring_enter, ring_.fd(), count, 0, 0, nullptr, 0);
}

// To be published when it is filled in.
io_uring_sqe* TransferRing::next_entry() noexcept {
  while (ring_.is_full()) submit();
  return ring_.next_entry();
}

void TransferRing::watch_poller() noexcept {
  io_uring_sqe* entry = next_entry();
  entry->opcode = IORING_OP_POLL_ADD;
  entry->fd = poller_.epoll_fd();
  entry->len = IORING_POLL_ADD_MULTI;
  entry->poll32_events = POLLIN;
  entry->user_data = kThePoller;
  ring_.publish();
}

TransferRing::Outcome TransferRing::transfer(const io_uring_sqe& wanted, int fd, FdState& s,
                                             uint32_t generation, Direction d,
                                             Deadline deadline) noexcept {
  RuntimeSection section;
  const WaitKind kind = d == Direction::kRead ? WaitKind::kReadable : WaitKind::kWritable;
  const auto* const object = reinterpret_cast<const void*>(static_cast<intptr_t>(fd));
  Fiber* const self = current_fiber();
  Waiter waiter;
  waiter.token = begin_wait_of(self, kind, object);
  if (!poller_.begin_transfer(fd, s, generation, waiter)) {
    if (cancel_wait(waiter.token)) return {WakeReason::kClosed, -ECANCELED, false};
    return {park(deadline), -ECANCELED, false};  // an interrupt came first
  }
  self->transfer.under_way = true;
  io_uring_sqe* entry = next_entry();
  *entry = wanted;
  entry->fd = fd;
  entry->user_data = reinterpret_cast<uint64_t>(self);
  ring_.publish();
  const WakeReason why = park(deadline);
  if (self->transfer.under_way) {
    entry = next_entry();
    entry->opcode = IORING_OP_ASYNC_CANCEL;
    entry->flags = IOSQE_CQE_SKIP_SUCCESS;
    entry->addr = reinterpret_cast<uint64_t>(self);
    entry->user_data = kNobody;
    ring_.publish();
    begin_wait_of(self, kind, object, /*shielded=*/true);
    park(kForever);
    require(!self->transfer.under_way, "a fiber went on while the kernel has its buffer");
  }
  poller_.end_transfer(s, waiter);
  return {why, self->transfer.result, self->transfer.more};
}

TransferRing::Outcome TransferRing::receive(int fd, FdState& s, uint32_t generation, void* buffer,
                                            size_t bytes, Deadline deadline) noexcept {
  io_uring_sqe entry{};
  entry.opcode = IORING_OP_RECV;
  entry.ioprio = IORING_RECVSEND_POLL_FIRST;  // who asks has seen that there was nothing
  entry.addr = reinterpret_cast<uint64_t>(buffer);
  entry.len = bytes < INT32_MAX ? static_cast<uint32_t>(bytes) : INT32_MAX;
  return transfer(entry, fd, s, generation, Direction::kRead, deadline);
}

TransferRing::Outcome TransferRing::send(int fd, FdState& s, uint32_t generation,
                                         const void* buffer, size_t bytes,
                                         Deadline deadline) noexcept {
  io_uring_sqe entry{};
  entry.opcode = IORING_OP_SEND;
  entry.addr = reinterpret_cast<uint64_t>(buffer);
  entry.len = bytes < INT32_MAX ? static_cast<uint32_t>(bytes) : INT32_MAX;
  entry.msg_flags = MSG_NOSIGNAL;
  return transfer(entry, fd, s, generation, Direction::kWrite, deadline);
}

void TransferRing::on_completion(const io_uring_cqe& completion) noexcept {
  if (completion.user_data == kNobody) return;
  if (completion.user_data == kThePoller) {
    poller_has_events_ = true;
    if ((completion.flags & IORING_CQE_F_MORE) == 0) watch_poller();
    return;
  }
  auto* fiber = reinterpret_cast<Fiber*>(completion.user_data);
  fiber->transfer = {.result = completion.res,
                     .under_way = false,
                     .more = (completion.flags & IORING_CQE_F_SOCK_NONEMPTY) != 0};
  // It is in the wait for the transfer, which somebody may have ended already, or in that for its
  // being taken back.
  const uint64_t word = fiber->wait_word.load(std::memory_order_relaxed);
  const WakeReason reason = wait_word::reason(word);
  if (reason == WakeReason::kNone || reason == WakeReason::kShielded) wake({fiber, word});
}

void TransferRing::enter(const volatile int* interrupted, Nanoseconds timeout) noexcept {
  const timespec limit = to_timespec(timeout == kForever ? 0 : timeout);
  io_uring_getevents_arg how{};
  if (timeout != kForever) how.ts = reinterpret_cast<uint64_t>(&limit);
  const long arguments[6] = {ring_.fd(),
                             ring_.queued(),
                             timeout != 0 ? 1 : 0,
                             IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
                             reinterpret_cast<long>(&how),
                             sizeof how};
  interruptible_call(interrupted, SYS_io_uring_enter, arguments);
}

Poller::Outcome TransferRing::poll(const volatile int* interrupted, Nanoseconds timeout) noexcept {
  if (poller_has_events_) timeout = 0;
  constexpr uint32_t kWork = IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW;
  if (timeout != 0 || ring_.queued() != 0 || (ring_.flags() & kWork) != 0) {
    enter(interrupted, timeout);
  }
  const uint32_t tail = ring_.end_of_completions();
  uint32_t head = ring_.first_completion();
  for (; head != tail; ++head) {
    constexpr uint32_t kAhead = 4;
    if (tail - head > kAhead) {
      const uint64_t next = ring_.completion(head + kAhead).user_data;
      if (next > kThePoller) {
        prefetch(reinterpret_cast<const Fiber*>(next));
        prefetch(&reinterpret_cast<const Fiber*>(next)->wait_word);
      }
    }
    on_completion(ring_.completion(head));
  }
  ring_.consume_up_to(head);
  Poller::Outcome outcome;
  if (poller_has_events_) {
    // Until it has none: a level-triggered event that stays is not told again.
    outcome = poller_.poll(interrupted, 0);
    poller_has_events_ = outcome.events != 0;
  }
  return outcome;
}

}  // namespace tendril::rt
