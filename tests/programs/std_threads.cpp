// std::thread, std::mutex, std::condition_variable, std::future and friends.
#include <chrono>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "check.h"

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

void threads_have_identities() {
  std::mutex mutex;
  std::set<std::thread::id> ids;
  std::vector<std::thread> threads;
  for (int i = 0; i < 50; ++i) {
    threads.emplace_back([&] {
      std::this_thread::yield();
      std::lock_guard lock(mutex);
      ids.insert(std::this_thread::get_id());
      std::this_thread::sleep_for(100us);
    });
  }
  std::set<std::thread::id> expected;
  for (auto& thread : threads) expected.insert(thread.get_id());
  for (auto& thread : threads) thread.join();
  CHECK(ids == expected);
  CHECK_EQ(50, ids.size());
  CHECK(!ids.count(std::this_thread::get_id()));
}

void queue_between_threads() {
  std::mutex mutex;
  std::condition_variable not_empty, not_full;
  std::deque<int> queue;
  long total = 0;
  std::vector<std::thread> threads;
  for (int p = 0; p < 8; ++p) {
    threads.emplace_back([&] {
      for (int i = 1; i <= 500; ++i) {
        std::unique_lock lock(mutex);
        CHECK(not_full.wait_for(lock, 30s, [&] { return queue.size() < 10; }));
        queue.push_back(i);
        not_empty.notify_one();
      }
    });
    threads.emplace_back([&] {
      for (int i = 1; i <= 500; ++i) {
        std::unique_lock lock(mutex);
        CHECK(not_empty.wait_for(lock, 30s, [&] { return !queue.empty(); }));
        total += queue.front();
        queue.pop_front();
        not_full.notify_one();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK_EQ(8 * 500 * 501 / 2, total);
}

void timeouts() {
  std::mutex mutex;
  std::condition_variable cond;
  std::unique_lock lock(mutex);
  auto begin = Clock::now();
  CHECK(!cond.wait_for(lock, 20ms, [] { return false; }));
  CHECK(Clock::now() - begin >= 20ms);
  auto deadline = std::chrono::system_clock::now() + 20ms;
  CHECK(!cond.wait_until(lock, deadline, [] { return false; }));
  CHECK(std::chrono::system_clock::now() >= deadline);

  std::timed_mutex timed;
  timed.lock();
  std::thread([&] {
    CHECK(!timed.try_lock());
    auto start = Clock::now();
    CHECK(!timed.try_lock_for(20ms));
    CHECK(Clock::now() - start >= 20ms);
  }).join();
  timed.unlock();
  CHECK(timed.try_lock_for(1ms));
  timed.unlock();

  std::promise<int> promise;
  auto future = promise.get_future();
  CHECK(future.wait_for(10ms) == std::future_status::timeout);
  promise.set_value(1);
  CHECK(future.wait_for(0ms) == std::future_status::ready);
}

void futures() {
  std::vector<std::future<std::string>> results;
  for (int i = 0; i < 100; ++i) {
    results.push_back(std::async(std::launch::async, [i] {
      std::this_thread::sleep_for(1ms);
      if (i % 10 == 9) throw std::runtime_error("no " + std::to_string(i));
      return "yes " + std::to_string(i);
    }));
  }
  for (int i = 0; i < 100; ++i) {
    std::string came;
    try {
      came = results[static_cast<size_t>(i)].get();
    } catch (const std::runtime_error& error) {
      came = error.what();
    }
    CHECK_STR(((i % 10 == 9 ? "no " : "yes ") + std::to_string(i)).c_str(), came.c_str());
  }
  std::packaged_task<int(int)> task([](int n) { return n * n; });
  auto square = task.get_future();
  std::thread(std::move(task), 12).join();
  CHECK_EQ(144, square.get());
  std::promise<void> shared;
  std::shared_future<void> all = shared.get_future().share();
  std::vector<std::future<int>> waiters;
  for (int i = 0; i < 10; ++i) {
    waiters.push_back(std::async(std::launch::async, [all, i] {
      all.wait();
      return i;
    }));
  }
  shared.set_value();
  int sum = 0;
  for (auto& waiter : waiters) sum += waiter.get();
  CHECK_EQ(45, sum);
}

}  // namespace

int main() {
  threads_have_identities();
  pass("std::thread");
  queue_between_threads();
  pass("std::mutex and std::condition_variable");
  timeouts();
  pass("timeouts");
  futures();
  pass("std::async and std::future");
  return 0;
}
