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

struct SelectAccess;  // runtime/sync/select.cpp
struct ApiWaiter;     // runtime/sync/wait_list.hpp

// FIFO of those who wait; guarded by the owner's lock.
struct WaitList {
  ApiWaiter* head = nullptr;
  ApiWaiter* tail = nullptr;
};

}  // namespace tendril::detail
