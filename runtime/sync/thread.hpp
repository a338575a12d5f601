// OS threads as the explicit API sees them: each becomes a worker at its first use.
#pragma once

#include "runtime/hub/worker.hpp"
#include "runtime/platform/backoff.hpp"
#include "runtime/platform/runtime_mode.hpp"
#include "tendril/detail/fiber_record.hpp"

namespace tendril::detail {

rt::Worker* become_worker();

// The calling OS thread's worker. Throws std::system_error when it cannot become one.
inline rt::Worker* this_worker() {
  return __builtin_expect(rt::on_worker, true) ? rt::current_worker_unchecked() : become_worker();
}

// The calling OS thread's worker if nobody preempts or moves its fibers, and they wait plainly
// (alone_switch.hpp); else null.
inline rt::Worker* plain_worker_here() noexcept {
  const WorkerHead* head = plain_worker;
  return head == &no_plain_worker ? nullptr
                                  : reinterpret_cast<rt::Worker*>(const_cast<WorkerHead*>(head));
}

// The running fiber. The worker is looked at in runtime mode: in between nobody moves us to
// another.
inline rt::Fiber* running_fiber() {
  if (__builtin_expect(!rt::on_worker, false)) become_worker();
  const rt::RuntimeSection section;
  return rt::current_worker_unchecked()->current;
}

inline bool is_hub(const rt::Fiber* running) noexcept { return running == &running->worker->hub; }

FiberRecord& make_record(rt::Fiber* fiber);

inline FiberRecord& record_of(rt::Fiber* running) {
  void* record = running->api;
  return __builtin_expect(record != nullptr, true) ? *static_cast<FiberRecord*>(record)
                                                   : make_record(running);
}

// SpinLock over a record's bare flag.
class RecordGuard {
 public:
  explicit RecordGuard(FiberRecord& record) noexcept : RecordGuard(record.lock) {}
  explicit RecordGuard(std::atomic<bool>& lock) noexcept
      : was_program_(rt::enter_runtime_mode()), lock_(lock) {
    rt::Backoff backoff;
    while (lock_.exchange(true, std::memory_order_acquire)) backoff.pause();
  }
  ~RecordGuard() {
    lock_.store(false, std::memory_order_release);
    rt::leave_runtime_mode(was_program_);
  }
  RecordGuard(const RecordGuard&) = delete;
  RecordGuard& operator=(const RecordGuard&) = delete;

 private:
  const bool was_program_;
  std::atomic<bool>& lock_;
};

}  // namespace tendril::detail
