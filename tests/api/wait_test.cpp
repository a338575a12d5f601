#include "tendril/wait.hpp"

#include <stdexcept>

#include "clean.hpp"

using namespace std::chrono_literals;

namespace {
auto sleeper(int ms) {
  return tendril::spawn([ms] {
    tendril::sleep(std::chrono::milliseconds(ms));
    return ms;
  });
}
}  // namespace

TEST_CASE("iwait gives fibers as they end") {
  Clean clean;
  std::vector<tendril::Fiber<int>> fibers{sleeper(6), sleeper(1), sleeper(3)};
  Log log;
  for (const tendril::FiberHandle& done : tendril::iwait(fibers)) {
    for (size_t i = 0; i < fibers.size(); ++i) {
      if (fibers[i] == done) log.add(std::to_string(i));
    }
  }
  CHECK(log.text() == "1 2 0");
}

TEST_CASE("joinall: all, by count, with a timeout, with errors") {
  Clean clean;
  std::vector<tendril::Fiber<int>> fibers{sleeper(1), sleeper(2), sleeper(60'000)};
  CHECK(tendril::joinall(fibers, {.count = 1}).size() == 1);
  CHECK(tendril::joinall(fibers, 250ms).size() == 2);  // a busy machine may take 10 ms away
  CHECK(tendril::killall(fibers));
  CHECK(tendril::joinall(fibers).size() == 3);
  std::vector<tendril::Fiber<>> bad{tendril::spawn([] { throw std::logic_error("bad"); })};
  CHECK(tendril::joinall(bad).size() == 1);
  CHECK_THROWS_AS(tendril::joinall(bad, {.raise_error = true}), std::logic_error);
}

TEST_CASE("wait for objects of several kinds") {
  Clean clean;
  tendril::Event event;
  tendril::AsyncResult<int> result;
  tendril::Semaphore semaphore(0);
  auto fiber = tendril::spawn([&] {
    semaphore.release();
    tendril::yield();
    event.set();
    tendril::yield();
    result.set(1);
    tendril::yield();
  });
  CHECK(tendril::wait({fiber, event, result, semaphore}) == std::vector<size_t>{3, 1, 2, 0});
  CHECK(semaphore.value() == 1);
  event.clear();
  CHECK(tendril::wait({event, semaphore}, 1ms) == std::vector<size_t>{1});
  CHECK(tendril::wait({event, semaphore}, tendril::kForever, 1) == std::vector<size_t>{1});
}
