#include "runtime/hub/shared_futex.hpp"

#include <cerrno>

#include "runtime/hub/io_uring.hpp"
#include "runtime/hub/park.hpp"
#include "runtime/hub/poller.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/platform/runtime_mode.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::rt {

constinit std::atomic<uint32_t> shared_futex_waits{0};

namespace {

// Not in the headers of older kernels.
constexpr uint8_t kFutexWait = 51;    // IORING_OP_FUTEX_WAIT
constexpr int kFutexOf32Bits = 0x02;  // FUTEX2_SIZE_U32

constexpr uint32_t kEntries = 8;         // each is handed over at once
constexpr uint32_t kCompletions = 1024;  // what does not fit the kernel keeps

// On the stack of who waits. Guarded by the lock.
struct Wait {
  WaitToken token;
  long result = 0;
  bool ended = false;  // for the kernel: it will not tell of it any more
};
constexpr uint64_t kNobody = 0;
constexpr const Wait* kEveryWait = nullptr;

enum class Ring : uint8_t { kForbidden, kAllowed, kOpen, kUnavailable };

struct Waits {
  SpinLock lock;  // guards all below
  IoUring ring;
  Ring state = Ring::kForbidden;
};

Waits& waits() noexcept {
  static constinit Waits instance;
  return instance;
}

// Precondition: the lock.
Ring open_ring() noexcept {
  IoUring& ring = waits().ring;
  if (ring.open(kEntries, kCompletions, 0) != 0) return Ring::kUnavailable;
  const Worker* worker = current_worker_unchecked();
  if (ring.supports(kFutexWait) &&
      worker->poller->watch_internal(ring.fd(), Poller::Internal::kSharedFutexes)) {
    return Ring::kOpen;
  }
  ring.close();
  return Ring::kUnavailable;
}

// Precondition: the lock.
void take_completions() noexcept {
  IoUring& ring = waits().ring;
  const uint32_t end = ring.end_of_completions();
  uint32_t next = ring.first_completion();
  if (next == end) return;
  for (; next != end; ++next) {
    const io_uring_cqe& completion = ring.completion(next);
    if (completion.user_data == kNobody) continue;
    auto* wait = reinterpret_cast<Wait*>(completion.user_data);
    wait->result = completion.res;
    wait->ended = true;
    wake(wait->token);
  }
  ring.consume_up_to(end);
}

// Precondition: the lock.
void collect() noexcept {
  const IoUring& ring = waits().ring;
  take_completions();
  while ((ring.flags() & IORING_SQ_CQ_OVERFLOW) != 0) {  // the kernel keeps some back
    const long error = raw_syscall_uninterrupted(SYS_io_uring_enter, ring.fd(), 0, 0,
                                                 IORING_ENTER_GETEVENTS, nullptr, 0);
    if (error < 0) return;  // a filter forbids it
    take_completions();
  }
}

// Precondition: the lock; the entry is filled in. False: the kernel did not take it.
bool hand_over() noexcept {
  IoUring& ring = waits().ring;
  ring.publish();
  if (raw_syscall_uninterrupted(SYS_io_uring_enter, ring.fd(), 1, 0, 0, nullptr, 0) == 1) {
    return true;
  }
  ring.take_back();
  return false;
}

// Precondition: the lock, and an empty ring.
bool begin(Wait* wait, const uint32_t* word, uint32_t expected, uint32_t bitset) noexcept {
  io_uring_sqe* entry = waits().ring.next_entry();
  entry->opcode = kFutexWait;
  entry->fd = kFutexOf32Bits;
  entry->addr = reinterpret_cast<uint64_t>(word);
  entry->addr2 = expected;
  entry->addr3 = bitset;
  entry->user_data = reinterpret_cast<uint64_t>(wait);
  return hand_over();
}

// Precondition: the lock. Asks the kernel to end the wait; it is to tell of its end in any case.
void take_back(const Wait* wait) noexcept {
  for (;;) {
    io_uring_sqe* entry = waits().ring.next_entry();
    entry->opcode = IORING_OP_ASYNC_CANCEL;
    entry->flags = IOSQE_CQE_SKIP_SUCCESS;
    entry->cancel_flags =
        wait == kEveryWait ? IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY : 0;
    entry->addr = reinterpret_cast<uint64_t>(wait);
    entry->user_data = kNobody;
    const bool taken = hand_over();
    collect();
    if (taken) return;  // else it was out of memory, or of room for completions
  }
}

long result_of(const Wait& wait, WakeReason why) noexcept {
  if (wait.result == -ENOMEM) return -ENOSYS;  // no call of futex says that, and glibc would abort
  if (wait.result != -ECANCELED) return wait.result;
  if (why == WakeReason::kWoken) return 0;  // the OS thread that had handed it over has ended
  return why == WakeReason::kTimeout ? -ETIMEDOUT : -EINTR;
}

}  // namespace

long wait_for_shared_futex(const uint32_t* word, uint32_t expected, uint32_t bitset,
                           Deadline deadline) noexcept {
  if (current_worker_unchecked()->reserved) return -ENOSYS;  // sleeps alone, in a call of its own
  RuntimeSection section;
  Wait wait;
  bool handed_over;
  {
    SpinGuard guard(waits().lock);
    if (waits().state == Ring::kAllowed) waits().state = open_ring();
    if (waits().state != Ring::kOpen) return -ENOSYS;
    wait.token = begin_wait(WaitKind::kSharedFutex, word);
    handed_over = begin(&wait, word, expected, bitset);
    if (handed_over) {
      shared_futex_waits.fetch_add(1, std::memory_order_relaxed);
      collect();  // what the word forbids has ended
    }
  }
  if (!handed_over) {
    if (!cancel_wait(wait.token)) park(kForever);  // an interrupt, which stays pending
    return -ENOSYS;
  }
  const WakeReason why = park(deadline);
  if (why != WakeReason::kWoken) {
    bool ended;
    {
      SpinGuard guard(waits().lock);
      wait.token = begin_wait(WaitKind::kSharedFutex, word, /*shielded=*/true);
      ended = wait.ended;
      // Where the ring has been given up, all waits are being taken back.
      if (!ended && waits().state == Ring::kOpen) take_back(&wait);
    }
    if (!ended || !cancel_wait(wait.token)) park(kForever);
  }
  shared_futex_waits.fetch_sub(1, std::memory_order_relaxed);
  return result_of(wait, why);
}

void collect_shared_futexes_now() noexcept {
  RuntimeSection section;
  SpinGuard guard(waits().lock);
  if (waits().ring.is_open()) collect();
}

void allow_shared_futex_ring() noexcept {
  SpinGuard guard(waits().lock);
  if (waits().state == Ring::kForbidden) waits().state = Ring::kAllowed;
}

void end_shared_futex_ring() noexcept {
  RuntimeSection section;
  SpinGuard guard(waits().lock);
  if (waits().state == Ring::kOpen) take_back(kEveryWait);
  waits().state = Ring::kForbidden;  // and stays open for those that are still to end
}

SpinLock& shared_futex_lock() noexcept { return waits().lock; }

void shared_futexes_reset_after_fork() noexcept {
  waits().lock.reset_after_fork();
  if (waits().ring.is_open()) waits().ring.close();
  waits().state = Ring::kForbidden;
  shared_futex_waits.store(0, std::memory_order_relaxed);
}

}  // namespace tendril::rt
