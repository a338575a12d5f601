#include "tendril/detail/task.hpp"

#include <cxxabi.h>

#include "runtime/hub/alone_switch.hpp"
#include "runtime/hub/process.hpp"
#include "runtime/sync/attention.hpp"
#include "runtime/sync/fork.hpp"
#include "runtime/sync/greenlet_core.hpp"
#include "runtime/sync/inspection.hpp"
#include "runtime/sync/locals.hpp"
#include "runtime/sync/report.hpp"
#include "runtime/sync/spawning_stack.hpp"
#include "runtime/sync/task_list.hpp"
#include "runtime/sync/task_memory.hpp"
#include "runtime/sync/wait_list.hpp"
#include "tendril/errors.hpp"
#include "tendril/fiber.hpp"

namespace tendril::detail {
namespace {

bool wanted(const Link& link, const Task& task) noexcept {
  if (link.when == LinkWhen::kAlways || link.when == LinkWhen::kObserver) return true;
  return (link.when == LinkWhen::kValue) == (task.error == nullptr);
}

void fire_link(Link* link, Task* task) noexcept {
  if (wanted(*link, *task)) {
    if (task->error != nullptr && link->when != LinkWhen::kObserver) {
      task->error_seen.store(true, std::memory_order_relaxed);
    }
    try {
      link->call(link, task);
    } catch (...) {
      report_exception(std::current_exception(), "in a link of", *task);
    }
  }
  link->destroy(link);
}

void run_task(Task* task) {
  try {
    if (task->delay > Duration::zero()) tendril::sleep(task->delay);
    if (__builtin_expect(task->record.attention.load(std::memory_order_relaxed), false)) {
      throw_pending(task->record);  // killed before it began
    }
    task->state.store(TaskState::kRunning, std::memory_order_relaxed);
    task->type->run(task);
  } catch (const GreenletExit&) {
    task->ended_by_exit = true;
  } catch (const abi::__forced_unwind&) {
    throw;
  } catch (...) {
    task->error = std::current_exception();
  }
}

// Everything that ends with the task, but for who waits for it.
void end_what_is_of(Task* task) noexcept {
  if (task->type->drop_callable != nullptr) task->type->drop_callable(task);
  task->has_callable = false;
  if (task->record.locals != nullptr) destroy_locals(task->record);
  if (task->record.greenlet != nullptr) end_root_greenlet(task->record);
}

// The usual case: on its own thread, and one fiber of it waits, or none. False, and nothing done,
// otherwise.
bool finish_plainly(Task* task) noexcept {
  rt::Worker* me = plain_worker_here();
  rt::Fiber* joiner = nullptr;
  const auto done = [&](const void*) {
    ApiWaiter* waiter = task->joiners.head;
    if (task->links != nullptr) return false;
    if (waiter != nullptr && (waiter->next != nullptr || waiter->token.fiber->worker != me)) {
      return false;
    }
    task->state.store(TaskState::kDone, std::memory_order_release);
    if (waiter != nullptr) {
      unlink(task->joiners, *waiter);
      if (rt::claim(waiter->token)) {
        waiter->granted = true;
        joiner = waiter->token.fiber;
      }
    }
    return true;
  };
  if (me == nullptr || !plainly(task->lock, done)) return false;
  if (joiner != nullptr) me->let_run_plainly(joiner);
  return true;
}

void finish_task(Task* task) noexcept {
  Shield shield(task->record);
  end_what_is_of(task);
  if (__builtin_expect(finish_plainly(task), true)) return;
  Guard guard(task->lock);
  task->state.store(TaskState::kDone, std::memory_order_release);
  rt::Fiber* joiners = grant_all(task->joiners);
  Link* links = std::exchange(task->links, nullptr);
  guard.release();
  let_all_run(joiners);
  while (links != nullptr) {
    Link* link = links;
    links = link->next;
    fire_link(link, task);
  }
}

void task_main(rt::Fiber* fiber, void* argument) {
  auto* task = static_cast<Task*>(argument);
  run_task(task);
  finish_task(task);
  if (__builtin_expect(fiber->worker->root == fiber, false)) end_forked_child();
  part_from_fiber(task->record);
  release_task(task);
}

void discard(Task* task) noexcept {
  if (task->has_callable && task->type->drop_callable != nullptr) task->type->drop_callable(task);
  if (task->has_value && task->type->drop_value != nullptr) task->type->drop_value(task);
  delete task->name;
  if (task->spawning_stack != nullptr) forget_spawning_stack(task->spawning_stack);
  give_back_ident(*task);
  const size_t bytes = task->type->bytes;
  task->~Task();
  free_task(task, bytes);
}

}  // namespace

namespace {

// Of a thread's own fibers, and with nothing out of the ordinary. False, and nothing done, if the
// general way is to be gone.
bool start_plainly(Task* task, size_t stack_size, std::string_view name) noexcept {
  rt::Worker* worker = plain_worker_here();
  if (worker == nullptr || stack_size != 0 || !name.empty() ||
      spawning_stack_limit.load(std::memory_order_relaxed) != 0) {
    return false;
  }
  const auto* spawner = static_cast<const FiberRecord*>(worker->current->api);
  if (spawner == nullptr) return false;  // the hub, or one that the API does not know yet
  TaskMemory* memory = TaskMemory::of(worker);
  if (memory == nullptr) return false;
  rt::Fiber* fiber = rt::take_spare_fiber(worker, task_main, task);
  if (fiber == nullptr) return false;
  rt::favour(task->lock, worker);
  rt::favour(task->record.lock, worker);
  task->number = memory->next_number();
  if (spawner->task != nullptr) task->spawned_by = spawner->task->number;
  task->record.task = task;
  task->record.thread = spawner->thread;
  task->record.fiber = fiber;
  std::atomic_ref(fiber->api).store(&task->record, std::memory_order_release);
  worker->start_plainly(fiber);
  return true;
}

}  // namespace

void start_task(Task* task, std::source_location where, size_t stack_size, std::string_view name) {
  task->where = where;
  if (__builtin_expect(start_plainly(task, stack_size, name), true)) return;
  try {
    rt::Fiber* self = running_fiber();
    if (self->worker->waits_plainly) {
      rt::favour(task->lock, self->worker);
      rt::favour(task->record.lock, self->worker);
    }
    task->number = next_task_number();
    task->record.task = task;
    if (is_hub(self)) self = self->worker->root;  // a callback's spawn is the thread's
    if (self != nullptr) {
      const FiberRecord& spawner = record_of(self);
      if (spawner.task != nullptr) task->spawned_by = spawner.task->number;
      task->record.thread = spawner.thread;
    }
    if (const size_t limit = spawning_stack_limit.load(std::memory_order_relaxed);
        __builtin_expect(limit > 0, false)) {
      task->spawning_stack = remember_spawning_stack(limit);
    }
    if (!name.empty()) name_task(task, name);
    rt::Fiber* fiber = new_fiber(task_main, task, stack_size);
    if (fiber == nullptr) throw std::bad_alloc();
    std::atomic_ref(fiber->api).store(&task->record, std::memory_order_release);
    task->record.fiber = fiber;
    if (!name.empty()) name_fiber(*fiber, name);
    rt::start_fiber(fiber);
  } catch (...) {
    discard(task);
    throw;
  }
}

void release_task_slowly(Task* task) noexcept {
  if (task->error != nullptr && !task->error_seen.load(std::memory_order_relaxed)) {
    report_exception(task->error, "ended", *task);
  }
  discard(task);
}

namespace {

// Of a task of the same thread, for as long as it takes. Returns what park has, or kNone, and
// nothing done, if the general way is to be gone.
rt::WakeReason join_plainly(Task* task, ApiWaiter& waiter) noexcept {
  rt::Worker* me = plain_worker_here();
  if (me == nullptr) return rt::WakeReason::kNone;
  rt::Fiber* self = me->current;
  if (self == &me->hub || task->record.fiber == self ||
      self->interrupt_pending.load(std::memory_order_relaxed)) {
    return rt::WakeReason::kNone;
  }
  const auto wait = [&](const void*) {
    if (task->state.load(std::memory_order_relaxed) == TaskState::kDone) return false;
    waiter.token = rt::begin_wait_of(self, rt::WaitKind::kJoin, task);
    push_back(task->joiners, waiter);
    return true;
  };
  if (!plainly(task->lock, wait)) return rt::WakeReason::kNone;
  if (!is_to_be_thrown_at(*self) && __builtin_expect(me->park_plainly(self), true)) {
    return rt::wait_word::reason(self->wait_word.load(std::memory_order_acquire));
  }
  return park_attentively(waiter.token, rt::kForever);
}

}  // namespace

bool join_task(Task* task, Duration timeout) {
  const auto is_done = [task] {
    return task->state.load(std::memory_order_acquire) == TaskState::kDone;
  };
  if (is_done()) return true;
  ApiWaiter waiter;
  rt::WakeReason plainly = rt::WakeReason::kNone;
  if (timeout == kForever) plainly = join_plainly(task, waiter);
  if (__builtin_expect(plainly == rt::WakeReason::kWoken, true)) return true;
  if (task->record.fiber == running_fiber()) throw MisuseError("tendril: a fiber joins itself");
  Guard guard(task->lock);
  if (plainly != rt::WakeReason::kNone) {
    guard.release();
    end_wait(guard, task->joiners, waiter, plainly);  // disturbed
  }
  return wait_until(guard, task->joiners, rt::WaitKind::kJoin, task, timeout, is_done);
}

void get_task(Task* task, Duration timeout) {
  if (!join_task(task, timeout)) throw TimeoutError("tendril: the fiber has not ended in time");
  if (task->error != nullptr) {
    task->error_seen.store(true, std::memory_order_relaxed);
    std::rethrow_exception(task->error);
  }
  if (task->ended_by_exit) throw GreenletExit();
}

bool kill_task(Task* task, std::exception_ptr exception, bool wait, Duration timeout) {
  if (task->state.load(std::memory_order_acquire) == TaskState::kDone) return true;
  if (exception == nullptr) exception = std::make_exception_ptr(GreenletExit());
  if (task == current_task()) std::rethrow_exception(exception);
  throw_into(task->record, std::move(exception));
  return wait ? join_task(task, timeout)
              : task->state.load(std::memory_order_acquire) == TaskState::kDone;
}

unsigned long link_task(Task* task, Link* link) {
  static std::atomic<unsigned long> ids{1};
  const unsigned long id = link->id = ids.fetch_add(1, std::memory_order_relaxed);
  Guard guard(task->lock);
  if (task->state.load(std::memory_order_relaxed) != TaskState::kDone) {
    Link** end = &task->links;
    while (*end != nullptr) end = &(*end)->next;
    *end = link;
    return id;
  }
  guard.release();
  hold_task(task);
  struct Late {
    Link* link;
    Task* task;
  };
  spawn_raw([late = Late{link, task}] {
    fire_link(late.link, late.task);
    release_task(late.task);
  });
  return id;
}

bool unlink_task(Task* task, unsigned long id) noexcept {
  Guard guard(task->lock);
  for (Link** at = &task->links; *at != nullptr; at = &(*at)->next) {
    if ((*at)->id != id) continue;
    Link* link = *at;
    *at = link->next;
    guard.release();
    link->destroy(link);
    return true;
  }
  return false;
}

Task* current_task() noexcept {
  if (!rt::on_worker) return nullptr;
  const rt::Fiber* self = running_fiber();
  return self->api != nullptr ? static_cast<FiberRecord*>(self->api)->task : nullptr;
}

}  // namespace tendril::detail

namespace tendril {

using namespace detail;

namespace {
void sleep_here(rt::Deadline deadline) {
  for (;;) {
    rt::WakeReason reason;
    {
      const rt::RuntimeSection section;
      reason = park_attentively(rt::begin_wait(rt::WaitKind::kSleep, nullptr), deadline);
    }
    if (reason != rt::WakeReason::kInterrupted) return;
    on_interrupted(running_fiber());
  }
}
}  // namespace

namespace {

__attribute__((noinline)) void yield_in_general() {
  if (!rt::on_worker) become_worker();
  const rt::Fiber* self;
  {
    const rt::RuntimeSectionOnWorker section;  // from here to the switch nobody moves us
    rt::Worker* worker = rt::current_worker_unchecked();
    self = worker->current;
    if (self != &worker->hub) rt::Worker::yield_current(worker);
  }
  if (is_hub(self)) refuse_on_hub();
  auto* record = static_cast<FiberRecord*>(self->api);
  if (record != nullptr) throw_pending(*record);
}

}  // namespace

void yield() {
  rt::Worker* worker = plain_worker_here();
  if (__builtin_expect(worker == nullptr, false)) return yield_in_general();
  // Who waits plainly is not preempted and stays on its OS thread: no runtime mode is needed.
  rt::Fiber* self = worker->current;
  if (__builtin_expect(!worker->yield_plainly(), false)) return yield_in_general();
  if (__builtin_expect(self->interrupt_pending.load(std::memory_order_relaxed), false) &&
      self->api != nullptr) {
    throw_pending(*static_cast<FiberRecord*>(self->api));
  }
}

void sleep(Duration duration) {
  if (duration <= Duration::zero()) return yield();
  require_fiber();
  sleep_here(deadline_of(duration));
}

void idle() {
  require_fiber();
  sleep_here(0);  // a timer that has passed fires when the hub next has its turn
}

FiberHandle current_fiber() noexcept {
  Task* task = current_task();
  if (task != nullptr) hold_task(task);
  return FiberHandle::adopt(task);
}

}  // namespace tendril
