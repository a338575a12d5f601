#include "tendril/condition.hpp"

#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "clean.hpp"
#include "tendril/mutex.hpp"

using namespace std::chrono_literals;

TEST_CASE("notify wakes in order, each holding the lock") {
  Clean clean;
  tendril::Mutex mutex;
  tendril::Condition changed;
  Log log;
  std::vector<tendril::Fiber<>> fibers;
  for (int i = 0; i < 3; ++i) {
    fibers.push_back(tendril::spawn([&, i] {
      std::unique_lock lock(mutex);
      CHECK(changed.wait(lock));
      CHECK(mutex.held_here());
      log.add(std::to_string(i));
    }));
  }
  tendril::yield();
  changed.notify_one();
  tendril::yield();
  CHECK(log.text() == "0");
  changed.notify_all();
  for (auto& fiber : fibers) fiber.get();
  CHECK(log.text() == "0 1 2");
}

TEST_CASE("after a timeout and after a kill the lock is held again") {
  Clean clean;
  tendril::Mutex mutex;
  tendril::Condition changed;
  std::unique_lock lock(mutex);
  CHECK(!changed.wait(mutex, 1ms));
  CHECK(mutex.held_here());
  bool held = false;
  auto victim = tendril::spawn([&] {
    std::unique_lock own(mutex);
    try {
      changed.wait(own);
    } catch (const tendril::GreenletExit&) {
      held = mutex.held_here();
      throw;
    }
  });
  lock.unlock();
  tendril::yield();
  lock.lock();
  victim.kill_soon();
  tendril::yield();
  CHECK(!victim.ready());  // it waits for the lock, shielded
  lock.unlock();
  victim.join();
  CHECK(held);
  CHECK(!mutex.locked());
}

TEST_CASE("a predicate, and an RLock") {
  Clean clean;
  tendril::RLock mutex;
  tendril::Condition changed;
  int value = 0;
  auto waiter = tendril::spawn([&] {
    std::unique_lock lock(mutex);
    return changed.wait(lock, [&] { return value == 2; });
  });
  tendril::yield();
  for (int i = 1; i <= 2; ++i) {
    std::lock_guard lock(mutex);
    value = i;
    changed.notify_all();
  }
  CHECK(waiter.get());
  std::unique_lock lock(mutex);
  CHECK(!changed.wait(
      lock, [] { return false; }, 1ms));
}

TEST_CASE("a queue of two OS threads by hand") {
  Clean clean;
  tendril::Mutex mutex;
  tendril::Condition changed;
  std::deque<int> items;
  std::thread producer([&] {
    for (int i = 0; i < 1'000; ++i) {
      std::lock_guard lock(mutex);
      items.push_back(i);
      changed.notify_one();
    }
  });
  long sum = 0;
  for (int i = 0; i < 1'000; ++i) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return !items.empty(); });
    sum += items.front();
    items.pop_front();
  }
  producer.join();
  CHECK(sum == 499'500);
}
