// Waiting, as data: one word per fiber that says which wait it is in and how that wait ended.
//
//   wait word   | epoch (56 bits)                         | reason (8) |
//
// A wait is *open* while the reason is kNone (or kShielded). Whoever wants to end it (the lock's
// owner, a timer, a signal, a kill, close of the fd) claims it by one compare-and-swap on a word
// with the epoch it was given: exactly one of them wins, and one that comes late finds another
// epoch and does nothing. That is why fibers live in a type-stable pool.
#pragma once

#include <atomic>
#include <cstdint>

#include "runtime/fiber/intrusive_list.hpp"

namespace tendril::rt {

struct Fiber;

enum class WakeReason : uint8_t {
  kNone = 0,     // the wait is open
  kWoken,        // what was waited for has come
  kTimeout,      // the deadline has passed
  kInterrupted,  // a signal or a kill wants the fiber's attention
  kClosed,       // the fd (or object) was closed under the waiter
  kNotWaiting,   // no wait is open
  kShielded,     // the wait is open, but closed to interrupts
};

// What a parked fiber waits for; for inspection and for messages, never for control flow.
enum class WaitKind : uint8_t {
  kNone,
  kSleep,
  kReadable,
  kWritable,
  kPoll,
  kFutex,
  kSharedFutex,
  kJoin,
  kEvent,
  kLock,
  kQueue,
  kSignal,
  kOffload,
  kSwitch,
  kOther,
};

const char* wait_kind_name(WaitKind kind) noexcept;

// The right to end one particular wait.
struct WaitToken {
  Fiber* fiber = nullptr;
  uint64_t open_word = 0;  // the wait word while that wait is open
};

// A place in somebody's list of waiters; lives on the waiter's stack. The waiter removes it itself
// (under the list's lock) unless the waker has.
struct Waiter : ListLink {
  WaitToken token;
};

namespace wait_word {
constexpr uint64_t pack(uint64_t epoch, WakeReason reason) noexcept {
  return epoch << 8 | static_cast<uint8_t>(reason);
}
constexpr uint64_t epoch(uint64_t word) noexcept { return word >> 8; }
constexpr WakeReason reason(uint64_t word) noexcept { return static_cast<WakeReason>(word & 0xff); }
}  // namespace wait_word

}  // namespace tendril::rt
