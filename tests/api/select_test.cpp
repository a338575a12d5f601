#include "tendril/select.hpp"

#include <memory>
#include <thread>
#include <vector>

#include "clean.hpp"

using namespace std::chrono_literals;
using tendril::on_get;
using tendril::on_put;
using tendril::on_timeout;
using tendril::otherwise;
using tendril::select;

TEST_CASE("the first that can be done is done, alone") {
  Clean clean;
  tendril::Queue<int> numbers;
  tendril::Queue<std::string> words;
  words.put("word");
  std::string got;
  const auto take = [&] {
    return select(on_get(numbers, [&](int n) { got = std::to_string(n); }),
                  on_get(words, [&](const std::string& w) { got = w; }));
  };
  CHECK(take() == 1);
  CHECK(got == "word");
  auto later = tendril::spawn([&] { numbers.put(5); });
  CHECK(take() == 0);
  CHECK(got == "5");
  later.join();
}

TEST_CASE("a timeout and a default") {
  Clean clean;
  tendril::Queue<int> queue;
  bool timed_out = false;
  CHECK(select(on_get(queue, [](int) {}), on_timeout(1ms, [&] { timed_out = true; })) == 1);
  CHECK(timed_out);
  CHECK(select(on_get(queue, [](int) {}), otherwise([] {})) == 1);
  queue.put(1);
  CHECK(select(on_get(queue, [](int) {}), otherwise([] {})) == 0);
}

TEST_CASE("puts: a channel gets the item of one, the others keep theirs") {
  Clean clean;
  tendril::Channel<std::unique_ptr<int>> a;
  tendril::Channel<std::unique_ptr<int>> b;
  auto receiver = tendril::spawn([&] { return *b.get(); });
  CHECK(select(on_put(a, std::make_unique<int>(1), [] {}),
               on_put(b, std::make_unique<int>(2), [] {})) == 1);
  CHECK(receiver.get() == 2);
  auto sender = tendril::spawn([&] {
    return select(on_put(a, std::make_unique<int>(3), [] {}),
                  on_get(b, [](const std::unique_ptr<int>&) {}));
  });
  tendril::yield();
  CHECK(*a.get() == 3);
  CHECK(sender.get() == 0);
}

TEST_CASE("both sides of a channel select") {
  Clean clean;
  tendril::Channel<int> channel;
  int got = 0;
  auto sender = tendril::spawn([&] { return select(on_put(channel, 9, [] {})); });
  CHECK(select(on_get(channel, [&](int n) { got = n; })) == 0);
  CHECK(got == 9);
  sender.join();
}

TEST_CASE("events, semaphores and fibers") {
  Clean clean;
  tendril::Event event;
  tendril::Semaphore semaphore(0);
  auto fiber = tendril::spawn([&] { tendril::sleep(1ms); });
  const auto next = [&] {
    return select(tendril::on_event(event, [] {}), tendril::on_acquire(semaphore, [] {}),
                  tendril::on_done(fiber, [] {}));
  };
  CHECK(next() == 2);
  auto releaser = tendril::spawn([&] { semaphore.release(); });
  tendril::FiberHandle sleeper = fiber;
  fiber = tendril::spawn([] { tendril::sleep(1h); });
  CHECK(next() == 1);
  CHECK(semaphore.value() == 0);
  auto setter = tendril::spawn([&] { event.set(); });
  CHECK(next() == 0);
  fiber.kill();
  setter.join();
  releaser.join();
}

TEST_CASE("a shutdown ends a select, a kill too, and nothing is left behind") {
  Clean clean;
  tendril::Queue<int> a;
  tendril::Queue<int> b;
  const auto both = [&] { return select(on_get(a, [](int) {}), on_get(b, [](int) {})); };
  auto first = tendril::spawn(both);
  auto second = tendril::spawn(both);
  tendril::yield();
  first.kill();
  b.shutdown();
  CHECK_THROWS_AS(second.get(), tendril::ShutDown);
  CHECK(a.core().getters_waiting() == 0);
}

TEST_CASE("of several that are ready each has its turn") {
  Clean clean;
  tendril::Queue<int> a;
  tendril::Queue<int> b;
  for (int i = 0; i < 10; ++i) {
    a.put(1);
    b.put(1);
  }
  int counts[2] = {};
  for (int i = 0; i < 10; ++i) ++counts[select(on_get(a, [](int) {}), on_get(b, [](int) {}))];
  CHECK(counts[0] == 5);
  CHECK(counts[1] == 5);
}

TEST_CASE("selects of several OS threads take each item once") {
  Clean clean;
  constexpr int kItems = 2'000;
  tendril::Queue<int> a(4);
  tendril::Queue<int> b(4);
  std::atomic<int> taken{0};
  std::vector<std::thread> takers;
  for (int t = 0; t < 2; ++t) {
    takers.emplace_back([&] {
      try {
        for (;;) select(on_get(a, [&](int) { ++taken; }), on_get(b, [&](int) { ++taken; }));
      } catch (const tendril::ShutDown&) {
      }
    });
  }
  for (int i = 0; i < kItems; ++i) select(on_put(a, 1, [] {}), on_put(b, 1, [] {}));
  while (taken < kItems) tendril::sleep(100us);
  a.shutdown();
  b.shutdown();
  for (auto& taker : takers) taker.join();
  CHECK(taken == kItems);
}
