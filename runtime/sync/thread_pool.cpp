#include "tendril/thread_pool.hpp"

#include <mutex>

#include "runtime/sync/attention.hpp"

namespace tendril {

ThreadPool::ThreadPool(size_t size) : size_(size == 0 ? 1 : size) {}

ThreadPool::~ThreadPool() {
  const detail::Shield shield(detail::current_record());
  jobs_.shutdown();
  for (size_t i = 0; i < threads_.size(); ++i) ended_.acquire();
  for (std::thread& thread : threads_) thread.join();  // on their last instructions
}

void ThreadPool::submit(std::unique_ptr<detail::Job> job) {
  {
    std::lock_guard lock(mutex_);
    if (threads_.size() < size_ && jobs_.core().getters_waiting() <= jobs_.size()) {
      threads_.emplace_back([this] {
        for (auto& next : jobs_) {
          next->run();
          next.reset();
        }
        ended_.release();
      });
    }
  }
  jobs_.put(std::move(job));
}

void ThreadPool::kill() {
  while (auto job = jobs_.try_get()) (*job)->cancel();
}

size_t ThreadPool::threads() const {
  std::lock_guard lock(mutex_);
  return threads_.size();
}

}  // namespace tendril
