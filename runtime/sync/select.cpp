// How select works: first each operation is tried; then a waiter for each, all with one token, is
// put into the lists of their objects. Whoever grants one of them has claimed the wait, so no other
// can. Before it is put into a list an operation is looked at once more under the lock: if it could
// be done now, the wait is given up (unless somebody has claimed it meanwhile) and all begins anew.
#include <memory>

#include "runtime/sync/attention.hpp"
#include "runtime/sync/wait_list.hpp"
#include "tendril/detail/queue_core.hpp"
#include "tendril/detail/select_core.hpp"
#include "tendril/detail/task.hpp"
#include "tendril/event.hpp"
#include "tendril/semaphore.hpp"

namespace tendril::detail {

struct SelectOperations {
  BiasedLock& (*lock)(void* object);
  WaitList& (*list)(void* object);
  // With the lock held: whether try_now might do something; it is tried without the lock.
  bool (*looks_ready)(void* object);
  bool (*try_now)(SelectItem& item);
};

struct SelectAccess {
  static QueueCore& queue(void* object) { return *static_cast<QueueCore*>(object); }
  static BiasedLock& queue_lock(void* object) { return queue(object).lock_; }

  static bool can_get(void* object) {
    const QueueCore& q = queue(object);
    return q.count_ > 0 || q.putters_.head != nullptr || q.shut_down_;
  }
  static bool can_put(void* object) {
    const QueueCore& q = queue(object);
    return q.count_ < q.capacity_ || q.getters_.head != nullptr || q.shut_down_;
  }
  static bool try_get(SelectItem& item) {
    const QueueResult result = queue(item.object).get(item.value, Duration::zero());
    item.shut_down = result == QueueResult::kShutDown;
    return result != QueueResult::kTimeout;
  }
  static bool try_put(SelectItem& item) {
    const QueueResult result = queue(item.object).put(item.value, Duration::zero());
    item.shut_down = result == QueueResult::kShutDown;
    return result != QueueResult::kTimeout;
  }

  static constexpr SelectOperations kGet = {
      queue_lock, [](void* o) -> WaitList& { return queue(o).getters_; }, can_get, try_get};
  static constexpr SelectOperations kPut = {
      queue_lock, [](void* o) -> WaitList& { return queue(o).putters_; }, can_put, try_put};
  static constexpr SelectOperations kEvent = {
      [](void* o) -> BiasedLock& { return static_cast<Event*>(o)->lock_; },
      [](void* o) -> WaitList& { return static_cast<Event*>(o)->waiters_; },
      [](void* o) { return static_cast<Event*>(o)->set_; },
      [](SelectItem& item) { return static_cast<Event*>(item.object)->is_set(); }};
  static constexpr SelectOperations kAcquire = {
      [](void* o) -> BiasedLock& { return static_cast<Semaphore*>(o)->lock_; },
      [](void* o) -> WaitList& { return static_cast<Semaphore*>(o)->waiters_; },
      [](void* o) { return static_cast<Semaphore*>(o)->value_ > 0; },
      [](SelectItem& item) { return static_cast<Semaphore*>(item.object)->try_acquire(); }};
  static bool is_done(void* object) {
    return static_cast<Task*>(object)->state.load(std::memory_order_acquire) == TaskState::kDone;
  }
  static constexpr SelectOperations kTask = {
      [](void* o) -> BiasedLock& { return static_cast<Task*>(o)->lock; },
      [](void* o) -> WaitList& { return static_cast<Task*>(o)->joiners; }, is_done,
      [](SelectItem& item) { return is_done(item.object); }};
};

const SelectOperations* const kSelectGet = &SelectAccess::kGet;
const SelectOperations* const kSelectPut = &SelectAccess::kPut;
const SelectOperations* const kSelectEvent = &SelectAccess::kEvent;
const SelectOperations* const kSelectAcquire = &SelectAccess::kAcquire;
const SelectOperations* const kSelectTask = &SelectAccess::kTask;

namespace {

std::atomic<size_t> next_turn{0};

size_t try_each(SelectItem* items, size_t count, size_t start) {
  for (size_t i = 0; i < count; ++i) {
    const size_t index = (start + i) % count;
    if (items[index].operations->try_now(items[index])) return index;
  }
  return count;
}

class Attempt {
 public:
  Attempt(SelectItem* items, ApiWaiter* waiters, size_t count)
      : items_(items), waiters_(waiters), count_(count) {}

  // False if one of them looks ready: then no wait is open.
  bool enter_all() {
    token_ = rt::begin_wait(rt::WaitKind::kQueue, items_);
    for (; entered_ < count_; ++entered_) {
      const SelectItem& item = items_[entered_];
      Guard guard(item.operations->lock(item.object));
      if (item.operations->looks_ready(item.object)) {
        if (!rt::cancel_wait(token_)) return true;  // claimed: collect it
        guard.release();
        leave_all();
        return false;
      }
      ApiWaiter& waiter = waiters_[entered_];
      waiter = ApiWaiter{};
      waiter.token = token_;
      waiter.value = item.value;
      push_back(item.operations->list(item.object), waiter);
    }
    return true;
  }

  rt::WakeReason park(rt::Deadline deadline) { return park_attentively(token_, deadline); }

  // Which one was granted or ended by a shutdown; count if none.
  size_t leave_all() {
    size_t ended = count_;
    for (size_t i = 0; i < entered_; ++i) {
      SelectItem& item = items_[i];
      ApiWaiter& waiter = waiters_[i];
      Guard guard(item.operations->lock(item.object));
      if (waiter.linked) {
        unlink(item.operations->list(item.object), waiter);
      } else if (waiter.granted) {
        ended = i;
        item.value = waiter.value;
      } else if (waiter.closed) {
        ended = i;
        item.shut_down = true;
      }
    }
    return ended;
  }

 private:
  SelectItem* items_;
  ApiWaiter* waiters_;
  size_t count_;
  size_t entered_ = 0;
  rt::WaitToken token_;
};

}  // namespace

size_t select_items(SelectItem* items, size_t count, Duration timeout) {
  const size_t turn = next_turn.fetch_add(1, std::memory_order_relaxed);
  constexpr size_t kFew = 8;
  ApiWaiter few[kFew];
  std::unique_ptr<ApiWaiter[]> many;
  const rt::Deadline deadline = timeout > Duration::zero() ? deadline_of(timeout) : 0;
  for (;;) {
    if (const size_t index = try_each(items, count, turn); index != count) return index;
    if (timeout <= Duration::zero()) return count;
    require_fiber();
    if (count > kFew && many == nullptr) many = std::make_unique<ApiWaiter[]>(count);
    rt::WakeReason reason;
    size_t index;
    {
      const rt::RuntimeSection section;
      Attempt attempt(items, count > kFew ? many.get() : few, count);
      if (!attempt.enter_all()) continue;
      reason = attempt.park(deadline);
      index = attempt.leave_all();
    }
    if (index != count) return index;
    if (reason == rt::WakeReason::kTimeout) return count;
    if (reason == rt::WakeReason::kInterrupted) on_interrupted(running_fiber());
  }
}

}  // namespace tendril::detail
