#include "tendril/thread_pool.hpp"

#include <atomic>
#include <stdexcept>

#include "clean.hpp"

using namespace std::chrono_literals;

TEST_CASE("jobs run on other OS threads while fibers go on") {
  Clean clean;
  tendril::ThreadPool pool(2);
  const auto here = std::this_thread::get_id();
  std::atomic<bool> go{false};
  auto result = pool.spawn([&] {
    while (!go) std::this_thread::yield();
    return std::this_thread::get_id();
  });
  bool ran = false;
  auto fiber = tendril::spawn([&] { ran = true; });
  tendril::yield();
  CHECK(ran);
  CHECK(!result.ready());
  go = true;
  CHECK(result.get() != here);
  fiber.join();
}

TEST_CASE("values, exceptions, map, and no more threads than asked") {
  Clean clean;
  tendril::ThreadPool pool(2);
  CHECK(pool.apply([](int a, int b) { return a + b; }, 1, 2) == 3);
  CHECK_THROWS_AS(pool.apply([] { throw std::domain_error("x"); }), std::domain_error);
  std::vector<int> items(50);
  for (int i = 0; i < 50; ++i) items[static_cast<size_t>(i)] = i;
  const auto squares = pool.map([](int n) { return n * n; }, items);
  CHECK(squares[49] == 2401);
  CHECK(pool.threads() <= 2);
}

TEST_CASE("the destructor waits for all jobs; a kill cancels those that wait") {
  Clean clean;
  std::atomic<int> done{0};
  {
    tendril::ThreadPool pool(1);
    for (int i = 0; i < 5; ++i) pool.spawn([&] { ++done; });
  }
  CHECK(done == 5);
  tendril::ThreadPool pool(1);
  tendril::Event begun;
  std::atomic<bool> go{false};
  auto running = pool.spawn([&] {
    begun.set();
    while (!go) std::this_thread::yield();
  });
  auto waiting = pool.spawn([] {});
  begun.wait();
  pool.kill();
  CHECK_THROWS_AS(waiting.get(), tendril::Cancelled);
  go = true;
  running.get();
}

TEST_CASE("a wait for a job ends by a timeout; the job goes on") {
  Clean clean;
  tendril::ThreadPool pool(1);
  std::atomic<bool> go{false};
  auto result = pool.spawn([&] {
    while (!go) std::this_thread::yield();
    return 1;
  });
  CHECK_THROWS_AS(result.get(1ms), tendril::TimeoutError);
  CHECK(!tendril::try_within(1ms, [&] { result.get(); }));
  go = true;
  CHECK(result.get() == 1);
}
