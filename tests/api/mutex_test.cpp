#include "tendril/mutex.hpp"

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include "clean.hpp"

using namespace std::chrono_literals;

TEST_CASE("the lock is handed on in the order of arrival") {
  Clean clean;
  tendril::Mutex mutex;
  Log log;
  std::vector<tendril::Fiber<>> fibers;
  mutex.lock();
  for (int i = 0; i < 3; ++i) {
    fibers.push_back(tendril::spawn([&, i] {
      std::lock_guard lock(mutex);
      log.add(std::to_string(i));
      tendril::yield();
    }));
  }
  tendril::yield();
  mutex.unlock();
  CHECK(!mutex.try_lock());  // it is the first waiter's already
  for (auto& fiber : fibers) fiber.join();
  CHECK(log.text() == "0 1 2");
  CHECK(mutex.try_lock());
  CHECK(mutex.held_here());
  mutex.unlock();
}

TEST_CASE("waits for a lock end by timeout and by kill, and the lock is not lost") {
  Clean clean;
  tendril::Mutex mutex;
  mutex.lock();
  auto impatient = tendril::spawn([&] { return mutex.try_lock_for(1ms); });
  auto victim = tendril::spawn([&] { mutex.lock(); });
  auto last = tendril::spawn([&] {
    mutex.lock();
    mutex.unlock();
    return true;
  });
  CHECK(!impatient.get());
  victim.kill();
  mutex.unlock();
  CHECK(last.get());
  CHECK(!mutex.locked());
}

TEST_CASE("an unlock by a stranger is refused") {
  Clean clean;
  tendril::Mutex mutex;
  CHECK_THROWS_AS(mutex.unlock(), tendril::MisuseError);
  mutex.lock();
  auto stranger = tendril::spawn([&] { mutex.unlock(); });
  CHECK_THROWS_AS(stranger.get(), tendril::MisuseError);
  mutex.unlock();
  tendril::RLock recursive;
  CHECK_THROWS_AS(recursive.unlock(), tendril::MisuseError);
}

TEST_CASE("a recursive lock belongs to its fiber") {
  Clean clean;
  tendril::RLock lock;
  lock.lock();
  lock.lock();
  auto other = tendril::spawn([&] {
    const bool at_once = lock.try_lock();
    std::lock_guard guard(lock);
    return at_once;
  });
  tendril::yield();
  lock.unlock();
  tendril::yield();
  CHECK(!other.ready());
  lock.unlock();
  CHECK(!other.get());
}

TEST_CASE("no two fibers of several OS threads are inside at once") {
  Clean clean;
  tendril::Mutex mutex;
  long counter = 0;
  const auto work = [&] {
    for (int i = 0; i < 2'000; ++i) {
      std::lock_guard lock(mutex);
      const long before = counter;
      if (i % 64 == 0) tendril::yield();
      counter = before + 1;
    }
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      auto a = tendril::spawn(work);
      auto b = tendril::spawn(work);
      a.get();
      b.get();
    });
  }
  work();
  for (auto& thread : threads) thread.join();
  CHECK(counter == 7 * 2'000);
}

TEST_CASE("who waits on another OS thread is handed the lock though others are faster") {
  Clean clean;
  tendril::Mutex mutex;
  std::atomic<bool> over{false};
  std::atomic<int> turns{0};
  std::thread thread([&] {
    for (int i = 0; i < 5; ++i) {
      std::lock_guard lock(mutex);
      ++turns;
    }
    over = true;
  });
  // Takes it again before anybody who has to be woken for it can.
  while (!over) {
    std::lock_guard lock(mutex);
    const auto until = std::chrono::steady_clock::now() + 100us;
    while (std::chrono::steady_clock::now() < until) {
    }
  }
  thread.join();
  CHECK(turns == 5);
  CHECK(!mutex.locked());
}

TEST_CASE("a call to an OS thread that has something else to do keeps nobody waiting") {
  Clean clean;
  tendril::Mutex mutex;
  std::atomic<bool> computes{false}, done{false};
  mutex.lock();
  std::thread thread([&] {
    auto waiter = tendril::spawn([&] { std::lock_guard lock(mutex); });
    tendril::yield();  // it waits
    computes = true;
    while (!done) std::this_thread::yield();
    waiter.get();
  });
  while (!computes) std::this_thread::yield();
  mutex.unlock();  // calls that one, who cannot come
  mutex.lock();
  auto here = tendril::spawn([&] {
    std::lock_guard lock(mutex);
    return true;
  });
  tendril::yield();
  CHECK(!here.ready());
  mutex.unlock();
  CHECK(here.get());
  done = true;
  thread.join();
  CHECK(!mutex.locked());
}

TEST_CASE("a wait on another OS thread that was called in vain ends by timeout and by kill") {
  Clean clean;
  tendril::Mutex mutex;
  std::atomic<bool> over{false};
  int taken = 0, ended = 0;
  std::thread thread([&] {
    for (int i = 0; i < 50; ++i) {
      auto victim = tendril::spawn([&] { std::lock_guard lock(mutex); });
      tendril::yield();
      if (mutex.try_lock_for(50us)) {
        ++taken;
        mutex.unlock();
      } else {
        ++ended;
      }
      victim.kill();
    }
    over = true;
  });
  while (!over) {
    std::lock_guard lock(mutex);
    const auto until = std::chrono::steady_clock::now() + 20us;
    while (std::chrono::steady_clock::now() < until) {
    }
  }
  thread.join();
  CHECK(taken + ended == 50);
  CHECK(mutex.try_lock());
  mutex.unlock();
}
