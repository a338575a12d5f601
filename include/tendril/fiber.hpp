// Spawned fibers and their handles. (gevent: spawn, Greenlet)
//
//   auto page = tendril::spawn(fetch, url);
//   use(page.get());        // waits; returns the value or rethrows what ended the fiber
//
// A fiber runs on the OS thread that spawned it, when that thread's running fiber waits or yields.
// Handles may be copied and used from any OS thread; dropping them lets the fiber run on. An
// exception that nobody gets is reported on stderr with the fiber's name and where it was spawned.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "tendril/detail/task.hpp"
#include "tendril/errors.hpp"
#include "tendril/time.hpp"

namespace tendril {

// A handle of a spawned fiber whatever its value. Empty ones are allowed to exist, not to be asked.
class FiberHandle {
 public:
  FiberHandle() noexcept = default;
  FiberHandle(const FiberHandle& other) noexcept : task_(other.task_) {
    if (task_ != nullptr) detail::hold_task(task_);
  }
  FiberHandle(FiberHandle&& other) noexcept : task_(std::exchange(other.task_, nullptr)) {}
  FiberHandle& operator=(FiberHandle other) noexcept {
    std::swap(task_, other.task_);
    return *this;
  }
  ~FiberHandle() { detail::release_task(task_); }

  // Waits until the fiber has ended; false if the timeout passed first. Does not throw for how it
  // ended.
  bool join(Duration timeout = kForever) const { return detail::join_task(task_, timeout); }

  // Throws the exception in the fiber, out of what it waits for or next waits for, and waits until
  // it has ended: false if the timeout passed first. A fiber that has not begun never will.
  bool kill(std::exception_ptr exception = nullptr, Duration timeout = kForever) const {
    return detail::kill_task(task_, std::move(exception), true, timeout);
  }
  // Same, without waiting. (gevent: kill(block=False))
  void kill_soon(std::exception_ptr exception = nullptr) const {
    detail::kill_task(task_, std::move(exception), false, Duration::zero());
  }

  explicit operator bool() const noexcept { return task_ != nullptr; }
  bool started() const noexcept { return state() != detail::TaskState::kNew; }
  bool ready() const noexcept { return state() == detail::TaskState::kDone; }
  // Ended by a value or by GreenletExit.
  bool successful() const noexcept { return ready() && task_->error == nullptr; }
  // What ended it; null while it runs, after a value and after GreenletExit.
  std::exception_ptr exception() const noexcept {
    if (!ready()) return nullptr;
    task_->error_seen.store(true, std::memory_order_relaxed);
    return task_->error;
  }

  // Calls callback(handle) once, in the fiber when it has ended, or soon if it has already; _value
  // only when it was successful, _exception only when not. The callback must not throw. Returns a
  // number for unlink.
  template <typename Callback>
  unsigned long link(Callback&& callback) const {
    return add_link(std::forward<Callback>(callback), detail::LinkWhen::kAlways);
  }
  template <typename Callback>
  unsigned long link_value(Callback&& callback) const {
    return add_link(std::forward<Callback>(callback), detail::LinkWhen::kValue);
  }
  template <typename Callback>
  unsigned long link_exception(Callback&& callback) const {
    return add_link(std::forward<Callback>(callback), detail::LinkWhen::kException);
  }
  // As link, for bookkeeping: an exception that only observers were shown is still reported as one
  // that nobody got.
  template <typename Callback>
  unsigned long link_observer(Callback&& callback) const {
    return add_link(std::forward<Callback>(callback), detail::LinkWhen::kObserver);
  }
  // False if it has been called or there is no such link.
  bool unlink(unsigned long link) const noexcept { return detail::unlink_task(task_, link); }

  std::string name() const { return detail::name_of_task(task_); }
  void set_name(std::string_view name) const { detail::name_task(task_, name); }
  // Small, unique among the living, reused. (gevent: minimal_ident)
  unsigned ident() const { return detail::ident_of_task(task_); }
  std::source_location spawned_at() const noexcept { return task_->where; }
  // The stack of who spawned it, innermost first, as backtrace_symbols(3) shows it; empty unless
  // set_spawning_stack_limit() was called before. (gevent: spawning_stack)
  std::vector<std::string> spawning_stack() const { return detail::spawning_stack_of_task(task_); }

  friend bool operator==(const FiberHandle& a, const FiberHandle& b) noexcept {
    return a.task_ == b.task_;
  }

  // Takes over one reference. For the library.
  static FiberHandle adopt(detail::Task* task) noexcept {
    FiberHandle handle;
    handle.task_ = task;
    return handle;
  }
  detail::Task* task() const noexcept { return task_; }

 protected:
  detail::TaskState state() const noexcept { return task_->state.load(std::memory_order_acquire); }

 private:
  template <typename Callback>
  unsigned long add_link(Callback&& callback, detail::LinkWhen when) const;

  detail::Task* task_ = nullptr;
};

// A handle of a fiber that ends with a T.
template <typename T = void>
class Fiber : public FiberHandle {
 public:
  Fiber() noexcept = default;

  // Waits; the value, which stays the fiber's. Rethrows what ended the fiber (GreenletExit if it
  // was killed); throws TimeoutError if the timeout passes first.
  std::add_lvalue_reference_t<T> get(Duration timeout = kForever) & {
    detail::get_task(task(), timeout);
    if constexpr (!std::is_void_v<T>) return value();
  }
  // Of a handle that goes away: the value itself.
  T get(Duration timeout = kForever) && {
    detail::get_task(task(), timeout);
    if constexpr (std::is_reference_v<T>) {
      return value();
    } else if constexpr (!std::is_void_v<T>) {
      return std::move(value());
    }
  }

  static Fiber adopt(detail::Task* task) noexcept {
    Fiber fiber;
    static_cast<FiberHandle&>(fiber) = FiberHandle::adopt(task);
    return fiber;
  }

 private:
  std::add_lvalue_reference_t<T> value() const noexcept {
    auto& stored = static_cast<detail::TaskWithValue<T>*>(task())->value;
    if constexpr (std::is_reference_v<T>) {
      return *stored;
    } else {
      return stored;
    }
  }
};

struct SpawnOptions {
  std::string_view name = {};  // for messages and inspection
  size_t stack_size = 0;       // bytes; 0: 64 KiB
  Duration delay = {};         // begins so much later
  std::source_location where = std::source_location::current();
};

namespace detail {

template <typename Function>
auto spawn_function(Function&& function, const SpawnOptions& options) {
  using F = std::decay_t<Function>;
  using Value = std::invoke_result_t<F>;
  using T = TaskOf<F, Value>;
  static_assert(alignof(T) <= 16, "over-aligned callables and values are not supported");
  void* memory = allocate_task(sizeof(T));
  T* task;
  try {
    task = ::new (memory) T(std::forward<Function>(function));
  } catch (...) {
    free_task(memory, sizeof(T));
    throw;
  }
  task->delay = options.delay;
  start_task(task, options.where, options.stack_size, options.name);
  return tendril::Fiber<Value>::adopt(task);
}

// The call of a function with arguments that are kept by value, as std::thread does.
template <typename F, typename... Args>
auto bind_call(F&& f, Args&&... args) {
  if constexpr (sizeof...(Args) == 0) {
    return std::decay_t<F>(std::forward<F>(f));
  } else {
    return [f = std::decay_t<F>(std::forward<F>(f)),
            kept = std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...)]() mutable
           -> std::invoke_result_t<std::decay_t<F>, std::decay_t<Args>...> {
      return std::apply(
          [&f](auto&&... a) -> decltype(auto) {
            return std::invoke(std::move(f), std::move(a)...);
          },
          std::move(kept));
    };
  }
}

template <typename F, typename... Args>
concept Callable = std::is_invocable_v<std::decay_t<F>, std::decay_t<Args>...>;

}  // namespace detail

// Runs function(arguments…) in a new fiber, with options. Throws std::bad_alloc.
template <typename F, typename... Args>
requires detail::Callable<F, Args...>
auto spawn(const SpawnOptions& options, F&& f, Args&&... args) {
  return detail::spawn_function(detail::bind_call(std::forward<F>(f), std::forward<Args>(args)...),
                                options);
}

// The same for up to four arguments, noting the place of the call by itself.
template <detail::Callable F>
auto spawn(F&& f, std::source_location where = std::source_location::current()) {
  return spawn(SpawnOptions{{}, 0, {}, where}, std::forward<F>(f));
}
template <typename F, typename A>
requires detail::Callable<F, A>
auto spawn(F&& f, A&& a, std::source_location where = std::source_location::current()) {
  return spawn(SpawnOptions{{}, 0, {}, where}, std::forward<F>(f), std::forward<A>(a));
}
template <typename F, typename A, typename B>
requires detail::Callable<F, A, B>
auto spawn(F&& f, A&& a, B&& b, std::source_location where = std::source_location::current()) {
  return spawn(SpawnOptions{{}, 0, {}, where}, std::forward<F>(f), std::forward<A>(a),
               std::forward<B>(b));
}
template <typename F, typename A, typename B, typename C>
requires detail::Callable<F, A, B, C>
auto spawn(F&& f, A&& a, B&& b, C&& c,
           std::source_location where = std::source_location::current()) {
  return spawn(SpawnOptions{{}, 0, {}, where}, std::forward<F>(f), std::forward<A>(a),
               std::forward<B>(b), std::forward<C>(c));
}
template <typename F, typename A, typename B, typename C, typename D>
requires detail::Callable<F, A, B, C, D>
auto spawn(F&& f, A&& a, B&& b, C&& c, D&& d,
           std::source_location where = std::source_location::current()) {
  return spawn(SpawnOptions{{}, 0, {}, where}, std::forward<F>(f), std::forward<A>(a),
               std::forward<B>(b), std::forward<C>(c), std::forward<D>(d));
}

// Begins after the delay; a kill before then means that it never runs.
template <typename F, typename... Args>
requires detail::Callable<F, Args...>
auto spawn_later(Duration delay, F&& f, Args&&... args) {
  SpawnOptions options;
  options.delay = delay;
  return spawn(options, std::forward<F>(f), std::forward<Args>(args)...);
}

// Without a handle.
template <typename F, typename... Args>
requires detail::Callable<F, Args...>
void spawn_raw(F&& f, Args&&... args) {
  spawn(SpawnOptions{}, std::forward<F>(f), std::forward<Args>(args)...);
}

// --- the running fiber ---

// Lets others run for at least the duration; zero or less: as yield. (gevent: sleep)
void sleep(Duration duration);
// Lets every other fiber that is ready run once. (gevent: sleep(0))
void yield();
// Returns when nothing else of this OS thread was ready and its hub has had a turn. (gevent: idle)
void idle();
// The running fiber's handle; empty where it was not spawned (main, a plain thread). (getcurrent)
FiberHandle current_fiber() noexcept;

template <typename Callback>
unsigned long FiberHandle::add_link(Callback&& callback, detail::LinkWhen when) const {
  struct Kept : detail::Link {
    explicit Kept(Callback&& c) : callback(std::forward<Callback>(c)) {}
    std::decay_t<Callback> callback;
  };
  auto* kept = new Kept(std::forward<Callback>(callback));
  kept->when = when;
  kept->call = [](detail::Link* link, detail::Task* task) {
    detail::hold_task(task);
    static_cast<Kept*>(link)->callback(FiberHandle::adopt(task));
  };
  kept->destroy = [](detail::Link* link) { delete static_cast<Kept*>(link); };
  return detail::link_task(task_, kept);
}

}  // namespace tendril
