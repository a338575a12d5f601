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
  rt::TimerHeap heap;
  std::mt19937 random(1);
  std::vector<TestTimer> timers(10'000);
  for (size_t i = 0; i < timers.size(); ++i) {
    timers[i].when = static_cast<rt::Deadline>(random() % 5'000);
    REQUIRE(heap.arm(&timers[i], timers[i].when, i));
  }
  CHECK(heap.size() == timers.size());
  // Every third is cancelled.
  size_t cancelled = 0;
  for (size_t i = 0; i < timers.size(); i += 3, ++cancelled) CHECK(heap.cancel(&timers[i]));
  CHECK(!heap.cancel(&timers[0]));
  TestTimer::fired.clear();
  CHECK(heap.nearest() >= 0);
  CHECK(heap.fire_due(2'499) + heap.fire_due(5'000) == timers.size() - cancelled);
  CHECK(heap.nearest() == rt::kForever);
  rt::Deadline last = 0;
  for (const auto& [timer, cookie] : TestTimer::fired) {
    REQUIRE(timer->when >= last);
    REQUIRE(timer == &timers[cookie]);
    REQUIRE(cookie % 3 != 0);
    last = timer->when;
  }
}

TEST_CASE("nothing fires early; nearest follows arming and cancelling") {
  rt::TimerHeap heap;
  TestTimer a;
  TestTimer b;
  heap.arm(&a, 100, 1);
  heap.arm(&b, 50, 2);
  CHECK(heap.nearest() == 50);
  CHECK(heap.fire_due(49) == 0);
  CHECK(heap.cancel(&b));
  CHECK(heap.nearest() == 100);
  CHECK(heap.fire_due(100) == 1);
  CHECK(heap.size() == 0);
}
