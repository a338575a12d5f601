#include "tendril/priority_queue.hpp"

#include "clean.hpp"

using namespace std::chrono_literals;

TEST_CASE("the least comes first") {
  Clean clean;
  tendril::PriorityQueue<int> queue;
  for (const int item : {3, 1, 2}) queue.put(item);
  CHECK(queue.peek() == 1);
  CHECK(queue.get() == 1);
  CHECK(queue.get() == 2);
  CHECK(queue.get() == 3);
  CHECK_THROWS_AS(queue.get_nowait(), tendril::Empty);
  CHECK_THROWS_AS(queue.get(1ms), tendril::Empty);
}

TEST_CASE("it is bounded, and shut down") {
  Clean clean;
  tendril::PriorityQueue<std::string, std::greater<>> queue(2);
  queue.put("a");
  queue.put("b");
  CHECK_THROWS_AS(queue.put("c", 1ms), tendril::Full);
  auto putter = tendril::spawn([&] { queue.put("c"); });
  tendril::yield();
  CHECK(queue.get() == "b");
  putter.get();
  CHECK(queue.get() == "c");
  auto getter = tendril::spawn([&] { return queue.get() + queue.get(); });
  tendril::yield();
  queue.shutdown();
  CHECK_THROWS_AS(getter.get(), tendril::ShutDown);
  CHECK_THROWS_AS(queue.put("x"), tendril::ShutDown);
}
