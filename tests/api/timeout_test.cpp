#include "tendril/timeout.hpp"

#include <stdexcept>

#include "clean.hpp"

using namespace std::chrono_literals;
using tendril::Timeout;
using tendril::TimeoutError;

TEST_CASE("a scope that takes too long is left by its own TimeoutError") {
  Clean clean;
  Timeout limit(1ms);
  CHECK(limit.pending());
  try {
    tendril::sleep(1h);
    FAIL("not reached");
  } catch (const TimeoutError& error) {
    CHECK(error.is(limit));
  }
  CHECK(limit.expired());
  tendril::sleep(1ms);  // it does not fire again
}

TEST_CASE("the nearest of nested deadlines wins and is told by identity") {
  Clean clean;
  {
    Timeout outer(1h);
    Timeout inner(1ms);
    try {
      tendril::sleep(1h);
    } catch (const TimeoutError& error) {
      CHECK(error.is(inner));
      CHECK(!error.is(outer));
    }
    CHECK(outer.pending());
  }
  {
    Timeout outer(1ms);
    CHECK_THROWS_AS(tendril::try_within(1h, [] { tendril::sleep(1h); }), TimeoutError);
    CHECK(outer.expired());
  }
}

TEST_CASE("when both have passed the outer one is thrown") {
  Clean clean;
  Timeout outer(1ms);
  Timeout inner(2ms);
  const auto until = std::chrono::steady_clock::now() + 5ms;
  while (std::chrono::steady_clock::now() < until) {
  }
  try {
    tendril::sleep(1h);
  } catch (const TimeoutError& error) {
    CHECK(error.is(outer));
  }
}

TEST_CASE("cancelled in time, nothing happens; started again, it counts anew") {
  Clean clean;
  Timeout limit(1ms);
  limit.cancel();
  CHECK(!limit.pending());
  tendril::sleep(3ms);
  CHECK(!limit.expired());
  limit.start();
  CHECK_THROWS_AS(tendril::sleep(1h), TimeoutError);
}

TEST_CASE("one that fired outside of any wait is thrown at the next, unless the scope has ended") {
  Clean clean;
  auto other = tendril::spawn([] {
    for (int i = 0; i < 50; ++i) tendril::sleep(100us);
  });
  {
    Timeout limit(1ms);
    const auto until = std::chrono::steady_clock::now() + 3ms;
    while (std::chrono::steady_clock::now() < until) {
    }
  }
  other.join();
}

TEST_CASE("with_timeout: value, error, fallback; errors of others pass through") {
  Clean clean;
  CHECK(tendril::with_timeout(1h, [] { return 3; }) == 3);
  CHECK_THROWS_AS(tendril::with_timeout(1ms, [] { tendril::sleep(1h); }), TimeoutError);
  const auto slow = [] {
    tendril::sleep(1h);
    return 1;
  };
  CHECK(tendril::with_timeout(1ms, slow, 7) == 7);
  CHECK_THROWS_AS(tendril::with_timeout(
                      1h, []() -> int { throw std::logic_error("x"); }, 1),
                  std::logic_error);
  CHECK(tendril::try_within(1h, [] {}));
  CHECK(!tendril::try_within(1ms, [] { tendril::sleep(1h); }));
  const auto nested = [] {
    return tendril::with_timeout(
        1h,
        [] {
          tendril::sleep(1h);
          return 1;
        },
        5);
  };
  CHECK(tendril::with_timeout(1ms, nested, 9) == 9);
}

TEST_CASE("kForever never fires and costs nothing") {
  Clean clean;
  Timeout limit(tendril::kForever);
  CHECK(!limit.pending());
  tendril::sleep(1ms);
}
