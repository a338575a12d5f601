#include "tendril/semaphore.hpp"

#include <thread>
#include <vector>

#include "clean.hpp"

using namespace std::chrono_literals;

TEST_CASE("units are counted and handed on in order") {
  Clean clean;
  tendril::Semaphore semaphore(2);
  CHECK(semaphore.acquire());
  CHECK(semaphore.try_acquire());
  CHECK(!semaphore.try_acquire());
  CHECK(!semaphore.acquire(1ms));
  Log log;
  std::vector<tendril::Fiber<>> fibers;
  for (int i = 0; i < 3; ++i) {
    fibers.push_back(tendril::spawn([&, i] {
      semaphore.acquire();
      log.add(std::to_string(i));
    }));
  }
  tendril::yield();
  semaphore.release(2);
  CHECK(!semaphore.try_acquire());  // both are promised
  tendril::yield();
  CHECK(log.text() == "0 1");
  semaphore.release(2);
  for (auto& fiber : fibers) fiber.join();
  CHECK(semaphore.value() == 1);
}

TEST_CASE("a bounded semaphore is not released too often") {
  Clean clean;
  tendril::BoundedSemaphore semaphore(1);
  CHECK_THROWS_AS(semaphore.release(), tendril::MisuseError);
  semaphore.acquire();
  semaphore.release();
  CHECK(semaphore.value() == 1);
}

TEST_CASE("a killed waiter takes no unit with it") {
  Clean clean;
  tendril::Semaphore semaphore(0);
  auto victim = tendril::spawn([&] { semaphore.acquire(); });
  tendril::yield();
  victim.kill_soon();
  semaphore.release();
  victim.join();
  CHECK(semaphore.try_acquire());
}

TEST_CASE("across OS threads") {
  Clean clean;
  tendril::Semaphore semaphore(0);
  std::thread thread([&] {
    for (int i = 0; i < 1'000; ++i) semaphore.release();
  });
  for (int i = 0; i < 1'000; ++i) semaphore.acquire();
  thread.join();
  CHECK(semaphore.value() == 0);
}
