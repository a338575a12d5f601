// Work on real OS threads, for what computes long or blocks where no fiber could be switched.
// (gevent: threadpool.ThreadPool)
#pragma once

#include <memory>
#include <ranges>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "tendril/async_result.hpp"
#include "tendril/fiber.hpp"
#include "tendril/mutex.hpp"
#include "tendril/queue.hpp"
#include "tendril/semaphore.hpp"

namespace tendril {

namespace detail {
struct Job {
  virtual ~Job() = default;
  virtual void run() noexcept = 0;
  virtual void cancel() noexcept = 0;
};
}  // namespace detail

// What a job of a ThreadPool gives; may be copied. (gevent: ThreadResult)
template <typename R>
class ThreadResult {
 public:
  explicit ThreadResult(std::shared_ptr<AsyncResult<R>> result) : result_(std::move(result)) {}
  // The value, which stays, as long as a ThreadResult does; rethrows; Cancelled; TimeoutError.
  std::add_lvalue_reference_t<R> get(Duration timeout = kForever) & {
    return result_->get(timeout);
  }
  R get(Duration timeout = kForever) && {
    if constexpr (std::is_void_v<R>) {
      result_->get(timeout);
    } else {
      return std::move(result_->get(timeout));
    }
  }
  bool join(Duration timeout = kForever) { return result_->wait(timeout); }
  bool ready() const { return result_->ready(); }
  bool successful() const { return result_->successful(); }

 private:
  std::shared_ptr<AsyncResult<R>> result_;
};

// Starts threads as they are needed. A job cannot be killed once it runs; whoever waits for it can.
class ThreadPool {
 public:
  explicit ThreadPool(size_t size = std::thread::hardware_concurrency());
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  // Waits for all jobs; other fibers run meanwhile.
  ~ThreadPool();

  // Runs f(arguments…) on one of the threads, after the jobs before it. Never waits.
  template <typename F, typename... Args>
  requires detail::Callable<F, Args...>
  auto spawn(F&& f, Args&&... args) {
    auto call = detail::bind_call(std::forward<F>(f), std::forward<Args>(args)...);
    using Call = decltype(call);
    using R = std::invoke_result_t<Call>;
    struct Work final : detail::Job {
      explicit Work(Call&& c) : call(std::move(c)) {}
      void run() noexcept override {
        try {
          if constexpr (std::is_void_v<R>) {
            call();
            result->set();
          } else {
            result->set(call());
          }
        } catch (...) {
          result->set_exception(std::current_exception());
        }
      }
      void cancel() noexcept override { result->cancel(); }
      Call call;
      std::shared_ptr<AsyncResult<R>> result = std::make_shared<AsyncResult<R>>();
    };
    auto work = std::make_unique<Work>(std::move(call));
    ThreadResult<R> result(work->result);
    submit(std::move(work));
    return result;
  }

  template <typename F, typename... Args>
  auto apply(F&& f, Args&&... args) {
    return spawn(std::forward<F>(f), std::forward<Args>(args)...).get();
  }
  template <typename F, std::ranges::input_range Items>
  auto map(F f, Items&& items) {
    using R = std::invoke_result_t<F&, std::ranges::range_reference_t<Items>>;
    std::vector<ThreadResult<R>> results;
    for (auto&& item : items) results.push_back(spawn(f, item));
    for (auto& result : results) result.join();
    std::vector<R> values;
    for (auto& result : results) values.push_back(std::move(result).get());
    return values;
  }

  // Cancels the jobs that have not begun; their results throw Cancelled.
  void kill();
  size_t size() const noexcept { return size_; }
  size_t threads() const;

 private:
  void submit(std::unique_ptr<detail::Job> job);

  const size_t size_;
  SimpleQueue<std::unique_ptr<detail::Job>> jobs_;
  mutable Mutex mutex_;
  std::vector<std::thread> threads_;  // guarded by mutex_
  Semaphore ended_{0};
};

}  // namespace tendril
