#include "runtime/fiber/timer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace rt = tendril::rt;

namespace {

struct TestTimer : rt::Timer {
  TestTimer() { fire = on_fire; }
  static void on_fire(rt::Timer* timer, uint64_t cookie) {
    fired.push_back({static_cast<TestTimer*>(timer), cookie});
  }
  struct Fired {
    TestTimer* timer;
    uint64_t cookie;
  };
  inline static std::vector<Fired> fired;
  rt::Deadline when = 0;
};

}  // namespace

TEST_CASE("timers fire in the order of their deadlines, with the cookie of their arming") {
  rt::TimerQueue queue;
  std::mt19937 random(1);
  std::vector<TestTimer> timers(10'000);
  for (size_t i = 0; i < timers.size(); ++i) {
    timers[i].when = static_cast<rt::Deadline>(random() % 5'000);
    REQUIRE(queue.arm(&timers[i], timers[i].when, i));
  }
  CHECK(queue.size() == timers.size());
  // Every third is cancelled.
  size_t cancelled = 0;
  for (size_t i = 0; i < timers.size(); i += 3, ++cancelled) CHECK(queue.cancel(&timers[i]));
  CHECK(!queue.cancel(&timers[0]));
  TestTimer::fired.clear();
  CHECK(queue.nearest() >= 0);
  CHECK(queue.fire_due(2'499).timers + queue.fire_due(5'000).timers == timers.size() - cancelled);
  CHECK(queue.nearest() == rt::kForever);
  rt::Deadline last = 0;
  for (const auto& [timer, cookie] : TestTimer::fired) {
    REQUIRE(timer->when >= last);
    REQUIRE(timer == &timers[cookie]);
    REQUIRE(cookie % 3 != 0);
    last = timer->when;
  }
}

TEST_CASE("nothing fires early; nearest follows arming and cancelling") {
  rt::TimerQueue queue;
  TestTimer a;
  TestTimer b;
  queue.arm(&a, 100, 1);
  queue.arm(&b, 50, 2);
  CHECK(queue.nearest() == 50);
  CHECK(queue.fire_due(49).timers == 0);
  CHECK(queue.cancel(&b));
  CHECK(queue.nearest() == 100);
  CHECK(queue.fire_due(100).timers == 1);
  CHECK(queue.size() == 0);
}

// Against a plain list of what is armed, at times from nanoseconds to hours ahead, which go through
// each level of the wheel and past it.
TEST_CASE("armed, cancelled and fired at random: nothing early, nothing late, nothing lost") {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    rt::TimerQueue queue;
    std::mt19937_64 random(seed);
    std::vector<TestTimer> timers(500);
    std::vector<bool> armed(timers.size());
    const auto first_armed = [&] {
      rt::Deadline first = rt::kForever;
      for (size_t i = 0; i < timers.size(); ++i) {
        if (armed[i]) first = std::min(first, timers[i].when);
      }
      return first;
    };
    // Monotonic clocks start anywhere; the first timer is armed before the queue knows the time.
    rt::Deadline now = static_cast<rt::Deadline>(random() % (uint64_t{1} << 50));
    for (int step = 0; step < 20'000; ++step) {
      const size_t i = random() % timers.size();
      switch (random() % 4) {
        case 0:
        case 1:
          if (armed[i]) break;
          timers[i].when = now - 1000 + static_cast<rt::Deadline>(random() >> (24 + random() % 36));
          REQUIRE(queue.arm(&timers[i], timers[i].when, i));
          armed[i] = true;
          break;
        case 2:
          REQUIRE(queue.cancel(&timers[i]) == armed[i]);
          armed[i] = false;
          break;
        case 3: {
          now += static_cast<rt::Deadline>(random() >> (28 + random() % 36));
          const rt::Deadline nearest = queue.nearest();
          REQUIRE(nearest <= first_armed());
          if (random() % 2 == 0 && nearest != rt::kForever) now = std::max(now, nearest);
          TestTimer::fired.clear();
          queue.fire_due(now);
          REQUIRE(queue.nearest() > now);
          rt::Deadline last = INT64_MIN;
          for (const auto& [timer, cookie] : TestTimer::fired) {
            REQUIRE(armed[cookie]);
            REQUIRE(timer->when <= now);
            REQUIRE(timer->when >= last);
            last = timer->when;
            armed[cookie] = false;
          }
          REQUIRE(first_armed() > now);
          break;
        }
      }
      REQUIRE(queue.size() == static_cast<size_t>(std::count(armed.begin(), armed.end(), true)));
      if (queue.size() == 0) REQUIRE(queue.nearest() == rt::kForever);
    }
  }
}

TEST_CASE("a wait that is cancelled far ahead leaves at most one look in vain") {
  rt::TimerQueue queue;
  queue.fire_due(rt::kNanosPerSecond);
  TestTimer stays;
  TestTimer goes;
  queue.arm(&stays, 9 * rt::kNanosPerSecond + 2, 0);
  queue.arm(&goes, 9 * rt::kNanosPerSecond, 0);
  CHECK(queue.nearest() == 9 * rt::kNanosPerSecond);
  CHECK(queue.cancel(&goes));
  CHECK(queue.nearest() >= 9 * rt::kNanosPerSecond);
  CHECK(queue.fire_due(9 * rt::kNanosPerSecond).timers == 0);
  CHECK(queue.nearest() == 9 * rt::kNanosPerSecond + 2);
  CHECK(queue.fire_due(9 * rt::kNanosPerSecond + 2).timers == 1);
}

TEST_CASE("fired timers tell which waits were short") {
  rt::TimerQueue queue;
  const rt::Deadline now = rt::kNanosPerSecond;
  queue.fire_due(now);
  std::vector<TestTimer> timers(3);
  queue.arm(&timers[0], now + 100'000, 0);
  queue.arm(&timers[1], now + 10'000'000, 0);
  queue.arm(&timers[2], now + 2 * rt::kNanosPerSecond, 0);
  const auto fired = queue.fire_due(now + 3 * rt::kNanosPerSecond);
  CHECK(fired.timers == 3);
  CHECK(fired.short_waits == 1);
}

TEST_CASE("after a fork nothing is armed") {
  rt::TimerQueue queue;
  queue.fire_due(rt::kNanosPerSecond);
  std::vector<TestTimer> timers(3);
  for (size_t i = 0; i < timers.size(); ++i) {
    queue.arm(&timers[i], rt::kNanosPerSecond + (rt::Deadline{1} << (10 * i)), i);
  }
  queue.clear_after_fork();
  CHECK(queue.size() == 0);
  CHECK(queue.nearest() == rt::kForever);
  for (TestTimer& timer : timers) CHECK(!queue.cancel(&timer));
  CHECK(queue.arm(&timers[1], 2 * rt::kNanosPerSecond, 7));
  TestTimer::fired.clear();
  CHECK(queue.fire_due(3 * rt::kNanosPerSecond).timers == 1);
  CHECK(TestTimer::fired.front().cookie == 7);
}
