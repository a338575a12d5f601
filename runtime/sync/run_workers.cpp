#include "tendril/run_workers.hpp"

#include <cxxabi.h>

#include <atomic>
#include <exception>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/platform/spin_lock.hpp"
#include "runtime/platform/usable_cores.hpp"
#include "runtime/sync/attention.hpp"
#include "runtime/sync/report.hpp"
#include "runtime/sync/task_list.hpp"
#include "tendril/errors.hpp"
#include "tendril/event.hpp"
#include "tendril/fiber.hpp"
#include "tendril/hub.hpp"
#include "tendril/semaphore.hpp"

namespace tendril {
namespace {

// Marks the calling thread's record, which spawned fibers share, in interposed processes too.
class IsWorker {
 public:
  IsWorker() : thread_(detail::current_record().thread) {
    if (thread_->in_run_workers) {
      throw MisuseError("tendril: run_workers on a thread that is in one already");
    }
    thread_->in_run_workers = true;
  }
  ~IsWorker() { thread_->in_run_workers = false; }
  IsWorker(const IsWorker&) = delete;
  IsWorker& operator=(const IsWorker&) = delete;

 private:
  detail::ThreadRecord* const thread_;
};

// The workers of one run_workers. Its fibers are made, each by its own thread, before any of them
// is let go: from then on `fibers_` does not change and anybody may kill all of them.
class Crew {
 public:
  Crew(unsigned count, const std::function<void(unsigned)>& work) : work_(work), fibers_(count) {}

  void run() {
    std::exception_ptr interruption;  // of the calling fiber
    try {
      hire(0);
      for (unsigned number = 1; number < fibers_.size(); ++number) {
        threads_.emplace_back([this, number] { thread_main(number); });
      }
      wait_until_hired();
      if (!failed()) {
        begun_ = true;
        go_.set();
        fibers_[0].join();
        wait_until_ended();
      }
    } catch (...) {
      interruption = std::current_exception();
    }
    const detail::Shield shield(detail::current_record());
    dismiss();
    if (interruption != nullptr) {
      if (first_ != nullptr) report(first_);
      std::rethrow_exception(interruption);
    }
    if (first_ != nullptr) std::rethrow_exception(first_);
  }

 private:
  // The fiber in which one call is made, on the calling thread.
  void hire(unsigned number) {
    std::string name = "worker ";
    name += std::to_string(number);
    fibers_[number] = spawn(SpawnOptions{.name = name}, [this, number] {
      try {
        go_.wait();
        work_(number);
      } catch (const GreenletExit&) {
        throw;
      } catch (const abi::__forced_unwind&) {
        throw;
      } catch (...) {
        fail(std::current_exception());
      }
    });
  }

  void thread_main(unsigned number) {
    try {
      detail::current_record().thread->in_run_workers = true;  // as long as it lives
      hire(number);
    } catch (...) {
      fail(std::current_exception());
    }
    const bool has_hub = static_cast<bool>(fibers_[number]);
    ++hired_;
    hired_.notify_one();
    if (!has_hub) return;
    try {
      fibers_[number].join();
    } catch (...) {  // LoopExit: this fiber is what the thread began with
      fail(std::current_exception());
    }
    const detail::Shield shield(detail::current_record());
    fibers_[number].join();
    // Now, and not when the thread's own record ends, so that the caller's fibers, for which they
    // may wait, run meanwhile: it waits for `ended_`, and only then for the thread.
    detail::end_fibers_of(detail::current_record());
    ended_.release();
  }

  void fail(const std::exception_ptr& exception) {
    bool is_first;
    {
      const rt::SpinGuard guard(lock_);
      is_first = first_ == nullptr;
      if (is_first) first_ = exception;
    }
    if (!is_first) return report(exception);
    if (begun_) kill_all();
  }

  bool failed() {
    const rt::SpinGuard guard(lock_);
    return first_ != nullptr;
  }

  // Once only: they may be cleaning up. Nothing happens to those that have ended, or to the caller.
  void kill_all() {
    if (told_.exchange(true)) return;
    const FiberHandle self = current_fiber();
    for (const Fiber<>& fiber : fibers_) {
      if (fiber && !(fiber == self)) fiber.kill_soon();
    }
  }

  // Ends what is left of the crew, with a shield up: all of it has ended after that.
  void dismiss() {
    wait_until_hired();
    kill_all();
    if (fibers_[0]) fibers_[0].join();
    wait_until_ended();
    for (std::thread& thread : threads_) thread.join();  // on their last instructions
  }

  // Natively, for as long as threads take to start: one without a hub could not use ours.
  void wait_until_hired() noexcept {
    for (size_t seen; (seen = hired_.load()) < threads_.size();) hired_.wait(seen);
  }

  // May be interrupted, and called again to go on.
  void wait_until_ended() {
    for (size_t& number = ended_seen_; number < threads_.size(); ++number) {
      if (fibers_[number + 1]) ended_.acquire();
    }
  }

  static void report(const std::exception_ptr& exception) {
    detail::report_loose_exception(exception, "in another worker of run_workers");
  }

  const IsWorker is_worker_;
  const std::function<void(unsigned)>& work_;
  std::vector<Fiber<>> fibers_;  // by number; each written by its thread before `hired_`
  std::vector<std::thread> threads_;
  std::atomic<size_t> hired_{0};  // threads that have a fiber in fibers_, or have failed to
  Semaphore ended_{0};            // released by each that has one
  size_t ended_seen_ = 0;
  std::atomic<bool> begun_{false};  // as go_, for who has no hub
  Event go_;
  std::atomic<bool> told_{false};
  rt::SpinLock lock_;
  std::exception_ptr first_;  // guarded by lock_
};

}  // namespace

void run_workers(unsigned count, const std::function<void(unsigned number)>& work) {
  detail::require_fiber();
  Crew(count != 0 ? count : rt::usable_cores(), work).run();
}

}  // namespace tendril
