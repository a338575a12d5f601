#include "tendril/timeout.hpp"

#include <new>

#include "runtime/memory/object_pool.hpp"
#include "runtime/platform/clock.hpp"
#include "runtime/sync/attention.hpp"
#include "runtime/sync/timeout_record.hpp"
#include "runtime/sync/wait_list.hpp"

namespace tendril {
namespace detail {
namespace {

constinit rt::ObjectPool<TimeoutRecord> records;
std::atomic<uint64_t> next_start{1};

// On the hub. The lock keeps the scope from ending, and with it the fiber from being over.
void fire(rt::Timer* timer, uint64_t start) noexcept {
  auto* record = reinterpret_cast<TimeoutRecord*>(timer);
  const rt::SpinGuard guard(record->lock);
  if (record->start != start) return;
  RecordGuard target_guard(*record->target);
  record->fired = record->expired = true;
  update_attention(*record->target);
}
static_assert(offsetof(TimeoutRecord, timer) == 0);

}  // namespace
}  // namespace detail

using detail::TimeoutRecord;

bool TimeoutError::is(const Timeout& scope) const noexcept {
  return scope_ == &scope && start_ == scope.start_;
}

Timeout::Timeout(Duration duration) : duration_(duration) { start(); }

Timeout::~Timeout() { cancel(); }

void Timeout::start() {
  cancel();
  start_ = 0;
  expired_ = false;
  if (duration_ == kForever) return;
  rt::Fiber* self = detail::require_fiber();
  TimeoutRecord* record = detail::records.take();
  if (record == nullptr) throw std::bad_alloc();
  start_ = detail::next_start.fetch_add(1, std::memory_order_relaxed);
  detail::FiberRecord& target = detail::record_of(self);
  {
    const rt::SpinGuard guard(record->lock);
    record->start = start_;
    record->target = &target;
  }
  {
    detail::RecordGuard guard(target);
    record->scope = this;
    record->fired = record->expired = false;
    record->outer = target.timeouts;
    target.timeouts = record;
  }
  record_ = record;
  record->timer.fire = detail::fire;
  record->when = detail::deadline_of(duration_);
  if (!self->worker->timers.arm(&record->timer, record->when, start_)) {
    cancel();
    throw std::bad_alloc();
  }
}

void Timeout::cancel() noexcept {
  TimeoutRecord* record = std::exchange(record_, nullptr);
  if (record == nullptr) return;
  if (record->timer.queue != nullptr) record->timer.queue->cancel(&record->timer);
  detail::FiberRecord& target = *record->target;
  {
    const rt::SpinGuard guard(record->lock);
    record->start = 0;
  }
  {
    detail::RecordGuard guard(target);
    TimeoutRecord** link = &target.timeouts;
    while (*link != record) link = &(*link)->outer;
    *link = record->outer;
    expired_ = record->expired;
    detail::update_attention(target);
  }
  detail::records.give_back(record);
}

bool Timeout::pending() const noexcept {
  if (record_ == nullptr) return false;
  detail::RecordGuard guard(*record_->target);
  return !record_->expired;
}

bool Timeout::expired() const noexcept {
  if (record_ == nullptr) return expired_;
  detail::RecordGuard guard(*record_->target);
  return record_->expired;
}

}  // namespace tendril
