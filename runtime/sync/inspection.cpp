// A record is reached through its fiber, under the lock of the process's list of fibers. It may end
// before its fiber leaves that list, at every end of a fiber, and must not take the lock for that:
//
//   who looks:  lookers++; [fence of all threads]; lock; read fiber->api, hold; unlock; lookers--
//   who ends:   fiber->api = null; [compiler barrier]; lookers == 0 or (lock; unlock); free
//
// Of the two, who looks sees the null or who ends sees the looker.
#include "runtime/sync/inspection.hpp"

#include "runtime/hub/process.hpp"
#include "runtime/platform/asymmetric_fence.hpp"
#include "runtime/sync/thread.hpp"

namespace tendril::detail {
namespace {

std::atomic<uint32_t> lookers{0};

// The thread sanitizer does not know the fence.
#if defined(__SANITIZE_THREAD__)
constexpr bool kLocksAlways = true;
#else
constexpr bool kLocksAlways = false;
#endif

}  // namespace

std::vector<SeenFiber> look_at_fibers(const ThreadRecord* thread) {
  std::vector<SeenFiber> seen;
  size_t room = rt::process().live_fibers() + 64;
  seen.reserve(room);  // nothing is allocated under the list's lock
  // Without the fence of all threads the count stays up for ever: then all who end take the lock.
  const bool can_fence = rt::can_fence_all_threads();
  lookers.fetch_add(1, std::memory_order_seq_cst);
  if (can_fence) rt::fence_all_threads();
  rt::process().for_each_fiber([&](rt::Fiber* fiber) {
    const auto* record = static_cast<const FiberRecord*>(
        std::atomic_ref(fiber->api).load(std::memory_order_acquire));
    if (record == nullptr || record->thread == nullptr || room == 0) return;
    if (thread != nullptr && record->thread != thread) return;
    --room;
    if (record->task != nullptr) hold_task(record->task);
    seen.push_back({FiberHandle::adopt(record->task), fiber->state.load(std::memory_order_relaxed),
                    fiber->wait_kind, fiber->wait_object, record->thread,
                    record->thread->number.load(std::memory_order_relaxed),
                    record->thread->tid.load(std::memory_order_relaxed),
                    record == record->thread->own, fiber->worker});
  });
  if (can_fence) lookers.fetch_sub(1, std::memory_order_seq_cst);
  return seen;
}

void part_from_fiber(FiberRecord& record) noexcept {
  const auto part = [&record](const void*) {
    auto* fiber = static_cast<rt::Fiber*>(record.fiber);
    record.fiber = nullptr;
    std::atomic_ref(fiber->api).store(nullptr, std::memory_order_relaxed);
    fiber->interrupt_pending.store(false, std::memory_order_relaxed);
    return true;
  };
  if (!plainly(record.lock, part)) {
    RecordGuard guard(record);
    part(nullptr);
  }
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (__builtin_expect(lookers.load(std::memory_order_relaxed) != 0, false) || kLocksAlways) {
    rt::process().for_each_fiber([](rt::Fiber*) {});
  }
}

void inspection_reset_after_fork() noexcept { lookers.store(0, std::memory_order_relaxed); }

}  // namespace tendril::detail
