#include "runtime/fiber/fiber.hpp"

#include "runtime/memory/object_pool.hpp"

namespace tendril::rt {
namespace {
ObjectPool<Fiber>& pool() noexcept {
  static constinit ObjectPool<Fiber> fibers;
  return fibers;
}
std::atomic<uint64_t> next_id{1};
}  // namespace

Fiber* take_fiber() noexcept {
  Fiber* fiber = pool().take();
  if (fiber == nullptr) return nullptr;
  reset_fiber(fiber);
  fiber->errno_location = nullptr;
  fiber->exception_location = nullptr;
  fiber->last_rites = nullptr;
  fiber->api = nullptr;
  fiber->stack = {};
  fiber->id = next_id.fetch_add(1, std::memory_order_relaxed);
  return fiber;
}

void give_back_fiber(Fiber* fiber) noexcept { pool().give_back(fiber); }

SpinLock& fiber_pool_lock() noexcept { return pool().lock(); }

void fiber_pool_reset_after_fork() noexcept { pool().reset_after_fork(); }

const char* fiber_state_name(FiberState state) noexcept {
  switch (state) {
    case FiberState::kReady:
      return "ready";
    case FiberState::kSpare:
      return "spare";
    case FiberState::kRunning:
      return "running";
    case FiberState::kYielding:
      return "yielding";
    case FiberState::kParking:
      return "parking";
    case FiberState::kWakePending:
      return "waking";
    case FiberState::kParked:
      return "parked";
    case FiberState::kDead:
      return "dead";
  }
  return "?";
}

const char* wait_kind_name(WaitKind kind) noexcept {
  switch (kind) {
    case WaitKind::kNone:
      return "nothing";
    case WaitKind::kSleep:
      return "sleep";
    case WaitKind::kReadable:
      return "readable fd";
    case WaitKind::kWritable:
      return "writable fd";
    case WaitKind::kPoll:
      return "poll";
    case WaitKind::kFutex:
      return "futex";
    case WaitKind::kSharedFutex:
      return "shared futex";
    case WaitKind::kJoin:
      return "join";
    case WaitKind::kEvent:
      return "event";
    case WaitKind::kLock:
      return "lock";
    case WaitKind::kQueue:
      return "queue";
    case WaitKind::kSignal:
      return "signal";
    case WaitKind::kOffload:
      return "offloaded call";
    case WaitKind::kSwitch:
      return "switch";
    case WaitKind::kOther:
      return "other";
  }
  return "?";
}

}  // namespace tendril::rt
