#include "runtime/hub/accept_ring.hpp"

#include <cerrno>

#include "runtime/hub/process_ring.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::rt {
namespace {

constexpr uint16_t kDoNotWait = 1 << 1;  // IORING_ACCEPT_DONTWAIT, not in older headers

constexpr uint32_t kEntries = 1;  // each is handed over at once, and over then
constexpr uint32_t kCompletions = 2;

constinit ProcessRing accepts;

// Precondition: the lock, and an open ring. -ENOSYS: the kernel did not take it.
long accept_by_ring(int fd, void* address, void* address_size, int flags) noexcept {
  IoUring& ring = accepts.ring;
  io_uring_sqe* entry = ring.next_entry();
  entry->opcode = IORING_OP_ACCEPT;
  entry->fd = fd;
  entry->ioprio = kDoNotWait;
  entry->addr = reinterpret_cast<uint64_t>(address);
  entry->addr2 = reinterpret_cast<uint64_t>(address_size);
  entry->accept_flags = static_cast<uint32_t>(flags);
  if (!accepts.hand_over()) return -ENOSYS;
  const uint32_t first = ring.first_completion();
  // Nothing is left to wait for, unless the kernel is out of memory for the completion, and keeps
  // it until it is asked.
  while (ring.end_of_completions() == first) {
    raw_syscall(SYS_io_uring_enter, ring.fd(), 0, 1, IORING_ENTER_GETEVENTS, nullptr, 0);
  }
  const long result = ring.completion(first).res;
  ring.consume_up_to(first + 1);
  return result;
}

// The flag of those that do not know it is invalid; of those that do, the descriptor is no socket.
bool open_ring(IoUring& ring) noexcept {
  return ring.open(kEntries, kCompletions, 0) == 0 &&
         accept_by_ring(ring.fd(), nullptr, nullptr, 0) == -ENOTSOCK;
}

}  // namespace

long accept_at_once(int fd, void* address, void* address_size, int flags) noexcept {
  // A filter that holds for one OS thread only was not asked about rings.
  if (current_worker_unchecked()->reserved) return -ENOSYS;
  RuntimeSection section;
  SpinGuard guard(accepts.lock);
  if (!accepts.make_usable(open_ring)) return -ENOSYS;
  return accept_by_ring(fd, address, address_size, flags);
}

void allow_accept_ring() noexcept { accepts.allow(); }

void end_accept_ring() noexcept {
  SpinGuard guard(accepts.lock);
  accepts.forbid();
}

SpinLock& accept_ring_lock() noexcept { return accepts.lock; }

void accept_ring_reset_after_fork() noexcept { accepts.reset_after_fork(); }

}  // namespace tendril::rt
