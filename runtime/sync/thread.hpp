// OS threads as the explicit API sees them: each becomes a worker at its first use.
#pragma once

#include "runtime/hub/biased_lock.hpp"
#include "runtime/hub/worker.hpp"
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

// Of what others than the fiber itself write, too.
class RecordGuard : rt::BiasedGuard {
 public:
  explicit RecordGuard(FiberRecord& record) noexcept : rt::BiasedGuard(record.lock) {}
};

}  // namespace tendril::detail
