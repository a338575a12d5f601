#include "runtime/hub/transfer_ring.hpp"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>

#include "runtime/hub/fatal.hpp"
#include "runtime/hub/hidden_descriptors.hpp"
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

uint32_t load(const uint32_t* word) noexcept { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
void store(uint32_t* word, uint32_t value) noexcept {
  __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

void* map_ring(int fd, size_t size, off_t offset) noexcept {
  const long address = raw_syscall(SYS_mmap, nullptr, size, PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_POPULATE, fd, offset);
  return address < 0 && address > -4096 ? nullptr : reinterpret_cast<void*>(address);
}

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
  io_uring_params parameters{};
  // One OS thread hands over and collects, and the kernel does its part of the work while that one
  // is in there: no interrupts of the fibers that run.
  parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                     IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
  parameters.cq_entries = kCompletions;
  const long fd = raw_syscall(SYS_io_uring_setup, kEntries, &parameters);
  *error = fd < 0 ? -fd : ENOMEM;
  if (fd < 0) return nullptr;
  void* pages = map_pages(round_up_to_page(sizeof(TransferRing)));
  if (pages == nullptr) {
    raw_syscall(SYS_close, fd);
    return nullptr;
  }
  auto* ring = new (pages) TransferRing(poller);
  ring->fd_ = hide_descriptor(static_cast<int>(fd));
  if (!ring->map(parameters)) {
    destroy(ring);
    return nullptr;
  }
  ring->watch_poller();
  return ring;
}

bool TransferRing::map(const io_uring_params& p) noexcept {
  const size_t entries_end = p.sq_off.array + p.sq_entries * sizeof(uint32_t);
  const size_t completions_end = p.cq_off.cqes + p.cq_entries * sizeof(io_uring_cqe);
  rings_size_ = entries_end > completions_end ? entries_end : completions_end;
  entries_size_ = p.sq_entries * sizeof(io_uring_sqe);
  rings_ = static_cast<char*>(map_ring(fd_, rings_size_, IORING_OFF_SQ_RING));
  entries_ = static_cast<io_uring_sqe*>(map_ring(fd_, entries_size_, IORING_OFF_SQES));
  if (rings_ == nullptr || entries_ == nullptr) return false;
  const auto word = [&](uint32_t offset) { return reinterpret_cast<uint32_t*>(rings_ + offset); };
  entry_count_ = p.sq_entries;
  entry_mask_ = *word(p.sq_off.ring_mask);
  entry_head_ = word(p.sq_off.head);
  entry_tail_ = word(p.sq_off.tail);
  entry_flags_ = word(p.sq_off.flags);
  completion_mask_ = *word(p.cq_off.ring_mask);
  completion_head_ = word(p.cq_off.head);
  completion_tail_ = word(p.cq_off.tail);
  completions_ = reinterpret_cast<io_uring_cqe*>(rings_ + p.cq_off.cqes);
  uint32_t* const order = word(p.sq_off.array);
  for (uint32_t i = 0; i < entry_count_; ++i) order[i] = i;
  return true;
}

void TransferRing::unmap() noexcept {
  if (rings_ != nullptr) raw_syscall(SYS_munmap, rings_, rings_size_);
  if (entries_ != nullptr) raw_syscall(SYS_munmap, entries_, entries_size_);
}

void TransferRing::destroy(TransferRing* ring) noexcept {
  ring->unmap();
  close_hidden_descriptor(ring->fd_);
  unmap_pages(ring, round_up_to_page(sizeof(TransferRing)));
}

TransferRing* TransferRing::replace_after_fork(TransferRing* ring, Poller& poller) noexcept {
  destroy(ring);  // the child's view of it: nothing is handed over or taken back
  return create_if_wanted(poller);
}

uint32_t TransferRing::queued() const noexcept { return tail_ - load(entry_head_); }

void TransferRing::submit() noexcept {
  const uint32_t count = queued();
  if (count != 0) raw_syscall(SYS_io_uring_enter, fd_, count, 0, 0, nullptr, 0);
}

// Zeroed. The caller stores tail_ when it is filled in.
io_uring_sqe* TransferRing::next_entry() noexcept {
  while (queued() == entry_count_) submit();
  io_uring_sqe* entry = &entries_[tail_ & entry_mask_];
  *entry = {};
  return entry;
}

void TransferRing::watch_poller() noexcept {
  io_uring_sqe* entry = next_entry();
  entry->opcode = IORING_OP_POLL_ADD;
  entry->fd = poller_.epoll_fd();
  entry->len = IORING_POLL_ADD_MULTI;
  entry->poll32_events = POLLIN;
  entry->user_data = kThePoller;
  store(entry_tail_, ++tail_);
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
  store(entry_tail_, ++tail_);
  const WakeReason why = park(deadline);
  if (self->transfer.under_way) {
    entry = next_entry();
    entry->opcode = IORING_OP_ASYNC_CANCEL;
    entry->flags = IOSQE_CQE_SKIP_SUCCESS;
    entry->addr = reinterpret_cast<uint64_t>(self);
    entry->user_data = kNobody;
    store(entry_tail_, ++tail_);
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
  const long arguments[6] = {fd_,
                             queued(),
                             timeout != 0 ? 1 : 0,
                             IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
                             reinterpret_cast<long>(&how),
                             sizeof how};
  interruptible_call(interrupted, SYS_io_uring_enter, arguments);
}

Poller::Outcome TransferRing::poll(const volatile int* interrupted, Nanoseconds timeout) noexcept {
  if (poller_has_events_) timeout = 0;
  constexpr uint32_t kWork = IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW;
  if (timeout != 0 || queued() != 0 || (load(entry_flags_) & kWork) != 0) {
    enter(interrupted, timeout);
  }
  const uint32_t tail = load(completion_tail_);
  uint32_t head = *completion_head_;
  for (; head != tail; ++head) {
    constexpr uint32_t kAhead = 4;
    if (tail - head > kAhead) {
      const uint64_t next = completions_[(head + kAhead) & completion_mask_].user_data;
      if (next > kThePoller) {
        prefetch(reinterpret_cast<const Fiber*>(next));
        prefetch(&reinterpret_cast<const Fiber*>(next)->wait_word);
      }
    }
    on_completion(completions_[head & completion_mask_]);
  }
  store(completion_head_, head);
  Poller::Outcome outcome;
  if (poller_has_events_) {
    // Until it has none: a level-triggered event that stays is not told again.
    outcome = poller_.poll(interrupted, 0);
    poller_has_events_ = outcome.events != 0;
  }
  return outcome;
}

}  // namespace tendril::rt
