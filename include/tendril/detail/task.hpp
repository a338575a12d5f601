// A spawned fiber's record: what its handles refer to. Lives until the fiber has ended and the last
// handle is gone.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "tendril/detail/fiber_record.hpp"
#include "tendril/detail/sync_state.hpp"
#include "tendril/time.hpp"

namespace tendril::detail {

enum class TaskState : uint8_t {
  kNew,      // a run queue or a timer: has not begun
  kRunning,  // its fiber
  kDone,     // its handles only
};

enum class LinkWhen : uint8_t {
  kAlways,
  kValue,
  kException,
  kObserver,  // always, and does not count as somebody who got the exception
};

// Called once when the task is done.
struct Link {
  Link* next = nullptr;
  LinkWhen when = LinkWhen::kAlways;
  unsigned long id = 0;
  void (*call)(Link* link, Task* task) = nullptr;
  void (*destroy)(Link* link) = nullptr;
};

struct TaskType {
  size_t bytes;
  void (*run)(Task*);            // calls the callable, keeps its value
  void (*drop_callable)(Task*);  // before it is done; null: nothing to do
  void (*drop_value)(Task*);     // with the last handle; null: nothing to do
};

struct SpawningStack;

struct Task {
  FiberRecord record;
  const TaskType* type = nullptr;
  std::atomic<uint32_t> references{2};  // handles, and the fiber until it has ended
  std::atomic<TaskState> state{TaskState::kNew};
  bool has_value = false;      // fields up to `error`: written before kDone, read after
  bool ended_by_exit = false;  // GreenletExit left it, or it never ran
  bool has_callable = true;
  std::atomic<bool> error_seen{false};  // somebody has got it: not to be reported
  std::exception_ptr error;
  BiasedLock lock;  // guards joiners, links and the step to kDone
  WaitList joiners;
  Link* links = nullptr;
  std::source_location where;               // of the spawn
  uint64_t spawned_by = 0;                  // the fiber that did: its number
  uint64_t number = 0;                      // never reused
  std::atomic<uint32_t> ident{0};           // small and reused; 0: nobody asked yet
  std::string* name = nullptr;              // null: none given
  SpawningStack* spawning_stack = nullptr;  // written before it runs; null: not remembered
  Duration delay{};                         // sleeps so long before it begins
};

// Where handles find the value.
template <typename Value>
struct TaskWithValue : Task {
  using Stored = std::conditional_t<
      std::is_void_v<Value>, char,
      std::conditional_t<std::is_reference_v<Value>, std::remove_reference_t<Value>*, Value>>;
  TaskWithValue() {}
  ~TaskWithValue() {}
  union {
    Stored value;
  };
};

// The callable and its value, inline. The fiber runs Function once, without arguments.
template <typename Function, typename Value>
struct TaskOf : TaskWithValue<Value> {
  using Stored = typename TaskWithValue<Value>::Stored;

  template <typename F>
  explicit TaskOf(F&& f) : function(std::forward<F>(f)) {
    this->type = &kType;
  }
  ~TaskOf() {}

  static void run(Task* task) {
    auto* self = static_cast<TaskOf*>(task);
    if constexpr (std::is_void_v<Value>) {
      std::move(self->function)();
    } else if constexpr (std::is_reference_v<Value>) {
      self->value = &std::move(self->function)();
    } else {
      ::new (static_cast<void*>(&self->value)) Value(std::move(self->function)());
    }
    self->has_value = true;
  }
  static void drop_callable(Task* task) { static_cast<TaskOf*>(task)->function.~Function(); }
  static void drop_value(Task* task) { static_cast<TaskOf*>(task)->value.~Stored(); }

  union {
    Function function;
  };
  static const TaskType kType;
};

template <typename Function, typename Value>
const TaskType TaskOf<Function, Value>::kType = {
    sizeof(TaskOf), &TaskOf::run,
    std::is_trivially_destructible_v<Function> ? nullptr : &TaskOf::drop_callable,
    std::is_trivially_destructible_v<Stored> ? nullptr : &TaskOf::drop_value};

void* allocate_task(size_t bytes);  // 16-byte aligned; throws std::bad_alloc
void free_task(void* memory, size_t bytes) noexcept;

// Makes its fiber, which runs later. Of the two references that a task is born with one is the
// fiber's, one the caller's. On failure the task is freed and std::bad_alloc thrown.
void start_task(Task* task, std::source_location where, size_t stack_size, std::string_view name);

void release_task_slowly(Task* task) noexcept;
inline void hold_task(Task* task) noexcept {
  task->references.fetch_add(1, std::memory_order_relaxed);
}
inline void release_task(Task* task) noexcept {
  if (task == nullptr) return;
  // Who holds the last reference is alone with it: only holders can add others.
  if (task->references.load(std::memory_order_acquire) == 1 ||
      task->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    release_task_slowly(task);
  }
}

// All as the members of Handle that are named so.
bool join_task(Task* task, Duration timeout);
void get_task(Task* task, Duration timeout);  // returns if it has a value; throws otherwise
bool kill_task(Task* task, std::exception_ptr exception, bool block, Duration timeout);
unsigned long link_task(Task* task, Link* link);
bool unlink_task(Task* task, unsigned long id) noexcept;
std::string name_of_task(const Task* task);
std::vector<std::string> spawning_stack_of_task(const Task* task);
void name_task(Task* task, std::string_view name);
uint32_t ident_of_task(Task* task);
Task* current_task() noexcept;  // null: not in a spawned fiber

}  // namespace tendril::detail
