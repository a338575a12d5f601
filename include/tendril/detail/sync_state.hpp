// The plain data that primitives embed; everything that touches it is in the library.
#pragma once

#include <atomic>
#include <cstdint>

namespace tendril::detail {

// A lock for a few instructions, biased towards one OS thread, which takes it without an atomic
// read-modify-write until another thread wants it (runtime/hub/biased_lock.hpp).
struct BiasedLock {
  std::atomic<const void*> favoured{nullptr};  // worker it is biased to; null: nobody used it yet
  std::atomic<bool> held_by_favoured{false};
  std::atomic<bool> locked{false};  // by whoever came when it was biased no more
};

// The head of what the library keeps for an OS thread, as far as the inline ways below need it.
struct WorkerHead {
  const void* self;
  uint64_t modes;
  const void* current;  // the running fiber
};
extern const WorkerHead no_plain_worker;  // favoured by nothing
// Of an OS thread whose fibers nobody preempts or moves, elsewhere no_plain_worker. Found without
// a call into the loader.
extern constinit thread_local const WorkerHead* plain_worker
    __attribute__((tls_model("initial-exec")));

// The favoured thread's way through the lock, without a call: action(the running fiber) under it.
// False if the lock does not favour the caller or the action gave up, having changed nothing.
template <typename Action>
inline bool plainly(BiasedLock& lock, Action&& action) noexcept {
  const WorkerHead* me = plain_worker;
  if (__builtin_expect(lock.favoured.load(std::memory_order_relaxed) != me, false)) return false;
  lock.held_by_favoured.store(true, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);  // see biased_lock.hpp
  const bool done = __builtin_expect(lock.favoured.load(std::memory_order_relaxed) == me, true) &&
                    action(me->current);
  lock.held_by_favoured.store(false, std::memory_order_release);
  return done;
}

struct SelectAccess;  // runtime/sync/select.cpp
struct ApiWaiter;     // runtime/sync/wait_list.hpp

// FIFO of those who wait; guarded by the owner's lock.
struct WaitList {
  ApiWaiter* head = nullptr;
  ApiWaiter* tail = nullptr;
};

}  // namespace tendril::detail
