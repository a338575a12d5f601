// OS threads as the explicit API sees them: each becomes a worker at its first use.
#pragma once

#include "runtime/hub/worker.hpp"
#include "tendril/detail/fiber_record.hpp"

namespace tendril::detail {

rt::Worker* become_worker();

// The calling OS thread's worker. Throws std::system_error when it cannot become one.
inline rt::Worker* this_worker() {
  return __builtin_expect(rt::on_worker, true) ? rt::current_worker_unchecked() : become_worker();
}

FiberRecord& make_record(rt::Fiber* fiber);

inline FiberRecord& record_of(rt::Fiber* running) {
  void* record = running->api;
  return __builtin_expect(record != nullptr, true) ? *static_cast<FiberRecord*>(record)
                                                   : make_record(running);
}

// SpinLock over a record's bare flag.
class RecordGuard {
 public:
  explicit RecordGuard(FiberRecord& record) noexcept : lock_(record.lock) {
    for (int spins = 0; lock_.exchange(true, std::memory_order_acquire);) {
      if (++spins > 200) {
        rt::raw_syscall(SYS_sched_yield);
        spins = 0;
      }
    }
  }
  ~RecordGuard() { lock_.store(false, std::memory_order_release); }
  RecordGuard(const RecordGuard&) = delete;
  RecordGuard& operator=(const RecordGuard&) = delete;

 private:
  std::atomic<bool>& lock_;
};

}  // namespace tendril::detail
