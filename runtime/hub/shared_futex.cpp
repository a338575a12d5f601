#include "runtime/hub/shared_futex.hpp"

#include <cerrno>

#include "runtime/hub/park.hpp"
#include "runtime/hub/poller.hpp"
#include "runtime/hub/process_ring.hpp"
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

constinit ProcessRing waits;

bool open_ring(IoUring& ring) noexcept {
  return ring.open(kEntries, kCompletions, 0) == 0 && ring.supports(kFutexWait) &&
         current_worker_unchecked()->poller->watch_internal(ring.fd(),
                                                            Poller::Internal::kSharedFutexes);
}

// Precondition: the lock.
void take_completions() noexcept {
  IoUring& ring = waits.ring;
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
  const IoUring& ring = waits.ring;
  take_completions();
  while ((ring.flags() & IORING_SQ_CQ_OVERFLOW) != 0) {  // the kernel keeps some back
    const long error = raw_syscall_uninterrupted(SYS_io_uring_enter, ring.fd(), 0, 0,
                                                 IORING_ENTER_GETEVENTS, nullptr, 0);
    if (error < 0) return;  // a filter forbids it
    take_completions();
  }
}

// Precondition: the lock, and an empty ring.
bool begin(Wait* wait, const uint32_t* word, uint32_t expected, uint32_t bitset) noexcept {
  io_uring_sqe* entry = waits.ring.next_entry();
  entry->opcode = kFutexWait;
  entry->fd = kFutexOf32Bits;
  entry->addr = reinterpret_cast<uint64_t>(word);
  entry->addr2 = expected;
  entry->addr3 = bitset;
  entry->user_data = reinterpret_cast<uint64_t>(wait);
  return waits.hand_over();
}

// Precondition: the lock. Asks the kernel to end the wait; it is to tell of its end in any case.
void take_back(const Wait* wait) noexcept {
  for (;;) {
    io_uring_sqe* entry = waits.ring.next_entry();
    entry->opcode = IORING_OP_ASYNC_CANCEL;
    entry->flags = IOSQE_CQE_SKIP_SUCCESS;
    entry->cancel_flags =
        wait == kEveryWait ? IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY : 0;
    entry->addr = reinterpret_cast<uint64_t>(wait);
    entry->user_data = kNobody;
    const bool taken = waits.hand_over();
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
    SpinGuard guard(waits.lock);
    if (!waits.make_usable(open_ring)) return -ENOSYS;
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
      SpinGuard guard(waits.lock);
      wait.token = begin_wait(WaitKind::kSharedFutex, word, /*shielded=*/true);
      ended = wait.ended;
      // Where the ring has been given up, all waits are being taken back.
      if (!ended && waits.is_usable()) take_back(&wait);
    }
    if (!ended || !cancel_wait(wait.token)) park(kForever);
  }
  shared_futex_waits.fetch_sub(1, std::memory_order_relaxed);
  return result_of(wait, why);
}

void collect_shared_futexes_now() noexcept {
  RuntimeSection section;
  SpinGuard guard(waits.lock);
  if (waits.ring.is_open()) collect();
}

void allow_shared_futex_ring() noexcept { waits.allow(); }

void end_shared_futex_ring() noexcept {
  RuntimeSection section;
  SpinGuard guard(waits.lock);
  if (waits.is_usable()) take_back(kEveryWait);
  waits.forbid();
}

SpinLock& shared_futex_lock() noexcept { return waits.lock; }

void shared_futexes_reset_after_fork() noexcept {
  waits.reset_after_fork();
  shared_futex_waits.store(0, std::memory_order_relaxed);
}

}  // namespace tendril::rt
