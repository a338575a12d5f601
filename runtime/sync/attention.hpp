// Exceptions that others throw into a fiber (kill, Timeout, throw_in) and how its waits meet them.
//
// The thrower notes what to throw in the fiber's record, then interrupts its wait. A wait that ends
// as interrupted calls on_interrupted, which throws; or returns when it was not for the API (a
// signal of a green thread, which the hook deals with) or is not to be thrown now, and the wait
// goes on. What is noted while the fiber does not wait is found by its next wait, because
// interrupt_pending stays set until on_interrupted clears it, before it looks at the notes.
#pragma once

#include <exception>

#include "runtime/hub/park.hpp"
#include "runtime/sync/thread.hpp"

namespace tendril::detail {

// Whether something is, at its next wait. Of the running fiber.
inline bool is_to_be_thrown_at(const rt::Fiber& self) noexcept {
  const auto* record = static_cast<const FiberRecord*>(self.api);
  return record != nullptr &&
         __builtin_expect(record->attention.load(std::memory_order_relaxed), false) &&
         record->shields == 0;
}

// Parks the running fiber in the wait that it has opened, unless something is to be thrown: then
// the wait ends as interrupted at once. (The layer above may have cleared interrupt_pending, which
// the API shares with it, on its own account.)
inline rt::WakeReason park_attentively(rt::WaitToken token, rt::Deadline deadline) {
  if (is_to_be_thrown_at(*token.fiber) && rt::cancel_wait(token)) {
    return rt::WakeReason::kInterrupted;
  }
  return rt::park(deadline);
}

// After a wait of the running fiber ended as kInterrupted.
void on_interrupted(rt::Fiber* self);

// Throws what is noted, if anything is and no shield is up.
void throw_pending(FiberRecord& record);

// Notes an exception for the fiber, replacing an earlier one. False when the fiber is over.
bool throw_into(FiberRecord& record, std::exception_ptr exception) noexcept;

// With the record's lock held: recomputes `attention`, and if it is set ends the fiber's wait.
void update_attention(FiberRecord& record) noexcept;

// No exception is thrown into the fiber while one of these lives: what comes is kept for later.
class Shield {
 public:
  explicit Shield(FiberRecord& record) noexcept : record_(record) { ++record_.shields; }
  ~Shield() {
    if (--record_.shields == 0 &&
        __builtin_expect(record_.attention.load(std::memory_order_acquire), false)) {
      attend();
    }
  }
  Shield(const Shield&) = delete;
  Shield& operator=(const Shield&) = delete;

 private:
  void attend() noexcept;

  FiberRecord& record_;
};

[[noreturn]] void refuse_on_hub();

// The running fiber; throws BlockingInHub if that is a hub.
inline rt::Fiber* require_fiber() {
  rt::Fiber* self = running_fiber();
  if (__builtin_expect(is_hub(self), false)) refuse_on_hub();
  return self;
}

}  // namespace tendril::detail
