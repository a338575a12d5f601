#include "tendril/barrier.hpp"

#include <thread>
#include <vector>

#include "clean.hpp"

using namespace std::chrono_literals;

TEST_CASE("a latch opens for ever") {
  Clean clean;
  tendril::Latch latch(2);
  CHECK(!latch.wait(1ms));
  auto waiter = tendril::spawn([&] { return latch.wait(); });
  latch.count_down();
  CHECK(!latch.try_wait());
  latch.count_down();
  CHECK(waiter.get());
  CHECK(latch.wait(0ms));
  CHECK_THROWS_AS(latch.count_down(), tendril::MisuseError);
}

TEST_CASE("a barrier lets them through together, again and again") {
  Clean clean;
  tendril::Barrier barrier(3);
  Log log;
  std::vector<tendril::Fiber<>> fibers;
  for (int i = 0; i < 3; ++i) {
    fibers.push_back(tendril::spawn([&, i] {
      for (int round = 0; round < 2; ++round) {
        log.add(std::string(1, static_cast<char>('a' + i)));
        CHECK(barrier.arrive_and_wait());
      }
    }));
  }
  for (auto& fiber : fibers) fiber.get();
  // Nobody's second turn comes before everybody's first.
  CHECK(log.text().substr(0, 5) == "a b c");
  CHECK(log.text().size() == 11);
}

TEST_CASE("who gives up at a barrier does not count") {
  Clean clean;
  tendril::Barrier barrier(2);
  CHECK(!barrier.arrive_and_wait(1ms));
  CHECK(barrier.waiting() == 0);
  std::thread thread([&] { CHECK(barrier.arrive_and_wait()); });
  CHECK(barrier.arrive_and_wait());
  thread.join();
}
