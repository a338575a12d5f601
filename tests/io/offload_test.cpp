#include "tendril/offload.hpp"

#include <unistd.h>

#include <memory>
#include <stdexcept>
#include <thread>

#include "io_tests.hpp"

using namespace std::chrono_literals;

TEST_CASE("a call that blocks is made elsewhere; other fibers run") {
  CleanIo clean;
  int turns = 0;
  auto other = tendril::spawn([&] {
    for (;;) {
      ++turns;
      tendril::sleep(100us);
    }
  });
  const auto here = std::this_thread::get_id();
  CHECK(tendril::offload([=] {
    usleep(20'000);
    return std::this_thread::get_id() != here;
  }));
  CHECK(turns > 5);
  other.kill();
}

TEST_CASE("values move, exceptions pass") {
  CleanIo clean;
  auto value = tendril::offload([] { return std::make_unique<int>(7); });
  CHECK(*value == 7);
  CHECK_THROWS_AS(tendril::offload([] { throw std::out_of_range("x"); }), std::out_of_range);
}

TEST_CASE("kill, Timeout and timeout end the wait, not the call") {
  CleanIo clean;
  auto done = std::make_shared<tendril::Event>();
  auto ran = std::make_shared<std::atomic<int>>(0);
  const auto slow = [ran] {
    usleep(30'000);
    ++*ran;
  };
  auto victim = tendril::spawn([&] { tendril::offload(slow); });
  tendril::yield();
  victim.kill();
  CHECK_THROWS_AS(tendril::offload(slow, 1ms), tendril::TimeoutError);
  CHECK(!tendril::try_within(1ms, [&] { tendril::offload(slow); }));
  while (*ran < 3) tendril::sleep(1ms);
}
