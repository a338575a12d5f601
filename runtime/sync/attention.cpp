#include "runtime/sync/attention.hpp"

#include "runtime/hub/process.hpp"
#include "runtime/sync/dead_end.hpp"
#include "runtime/sync/timeout_record.hpp"
#include "tendril/errors.hpp"

namespace tendril::detail {

void refuse_on_hub() {
  throw BlockingInHub("tendril: a call that may block was made on the hub, in a callback");
}

void update_attention(FiberRecord& record) noexcept {
  bool wanted = record.thrown_in != nullptr;
  for (TimeoutRecord* t = record.timeouts; t != nullptr && !wanted; t = t->outer) {
    wanted = t->fired;
  }
  record.attention.store(wanted, std::memory_order_release);
  if (wanted && record.fiber != nullptr) rt::interrupt(static_cast<rt::Fiber*>(record.fiber));
}

bool throw_into(FiberRecord& record, std::exception_ptr exception) noexcept {
  RecordGuard guard(record);
  if (record.fiber == nullptr) return false;
  record.thrown_in.swap(exception);  // what was there is freed after the lock: see the order
  update_attention(record);
  return true;
}

void throw_pending(FiberRecord& record) {
  if (!record.attention.load(std::memory_order_acquire) || record.shields > 0) return;
  std::exception_ptr exception;
  const Timeout* scope = nullptr;
  unsigned long start = 0;
  {
    RecordGuard guard(record);
    exception.swap(record.thrown_in);
    if (exception == nullptr) {
      // The outermost that has passed ends the others too.
      TimeoutRecord* fired = nullptr;
      for (TimeoutRecord* t = record.timeouts; t != nullptr; t = t->outer) {
        if (t->fired) fired = t;
      }
      if (fired == nullptr) {
        record.attention.store(false, std::memory_order_relaxed);
        return;
      }
      fired->fired = false;
      scope = fired->scope;
      start = fired->start;
    }
    update_attention(record);
  }
  if (exception != nullptr) std::rethrow_exception(std::move(exception));
  throw TimeoutError("tendril: a Timeout has passed", scope, start);
}

void on_interrupted(rt::Fiber* self) {
  FiberRecord& record = record_of(self);
  if (const auto hook = rt::process().hooks.on_interrupt; hook != nullptr) {
    hook(self);  // it looks at interrupt_pending, and clears it
  } else {
    self->interrupt_pending.store(false, std::memory_order_seq_cst);
  }
  const bool at_dead_end = is_at_dead_end(self);
  throw_pending(record);
  if (at_dead_end) throw_loop_exit(record);
}

void Shield::attend() noexcept {
  RecordGuard guard(record_);
  update_attention(record_);
}

}  // namespace tendril::detail
