// Reads and writes of sockets that the Linux kernel makes by itself (io_uring): a fiber leaves its
// transfer in the worker's ring and parks, and the hub hands over all of them by the one system
// call in which it also waits. Where entering the kernel is dear, that is what a small transfer
// costs most. For workers that wait plainly, where it is asked for (Worker::transfers).
//
// The kernel writes to the fiber's buffer until it has said that the transfer is over. So a wait
// that ends before (deadline, interrupt, close) takes the transfer back, and is over when the
// kernel has answered.
//
// What the epoll set tells comes through the ring as well: it is one of the descriptors that the
// ring watches.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/hub/io_uring.hpp"
#include "runtime/hub/poller.hpp"

namespace tendril::rt {

class TransferRing {
 public:
  // For the calling OS thread and no other, if TENDRIL_IO_URING=1 asks for it. Null if not, or,
  // with a message, when the kernel has none to give.
  static TransferRing* create_if_wanted(Poller& poller) noexcept;
  // Precondition: no transfer is under way.
  static void destroy(TransferRing* ring) noexcept;
  // In the child of fork, where this one's is the parent's. Returns another, or null as above.
  static TransferRing* replace_after_fork(TransferRing* ring, Poller& poller) noexcept;

  struct Outcome {
    // Why the wait ended; kWoken: because the transfer did.
    WakeReason why;
    // As of the system call; -ECANCELED if nothing was transferred and nothing will be.
    long result;
    // There was more to receive.
    bool more;
  };
  // Parks the running fiber until the transfer is over, or the wait and then the transfer. To be
  // asked for when a try has found nothing.
  Outcome receive(int fd, FdState& s, uint32_t generation, void* buffer, size_t bytes,
                  Deadline deadline) noexcept;
  // A broken pipe is an error, no signal.
  Outcome send(int fd, FdState& s, uint32_t generation, const void* buffer, size_t bytes,
               Deadline deadline) noexcept;

  // As Poller::poll, of the transfers and of the poller's set. On the hub.
  Poller::Outcome poll(const volatile int* interrupted, Nanoseconds timeout) noexcept;

 private:
  static TransferRing* create(Poller& poller, long* error) noexcept;
  explicit TransferRing(Poller& poller) noexcept : poller_(poller) {}
  io_uring_sqe* next_entry() noexcept;
  void submit() noexcept;
  void enter(const volatile int* interrupted, Nanoseconds timeout) noexcept;
  void watch_poller() noexcept;
  void on_completion(const io_uring_cqe& completion) noexcept;
  Outcome transfer(const io_uring_sqe& entry, int fd, FdState& s, uint32_t generation, Direction d,
                   Deadline deadline) noexcept;

  Poller& poller_;
  IoUring ring_;
  // The poller's set has events. It says so once for what has come since it had none.
  bool poller_has_events_ = false;
};

}  // namespace tendril::rt
