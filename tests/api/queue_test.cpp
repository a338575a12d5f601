#include "tendril/queue.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>

#include "clean.hpp"

using namespace std::chrono_literals;

TEST_CASE("items come out in the order they went in") {
  Clean clean;
  tendril::Queue<int> queue;
  for (int i = 0; i < 100; ++i) queue.put(i);
  CHECK(queue.size() == 100);
  for (int i = 0; i < 100; ++i) CHECK(queue.get() == i);
  CHECK(queue.empty());
}

TEST_CASE("put waits while the queue is full, get while it is empty") {
  Clean clean;
  tendril::Queue<std::string> queue(2);
  Log log;
  auto producer = tendril::spawn([&] {
    for (const char* item : {"a", "b", "c", "d"}) {
      queue.put(item);
      log.add(std::string("put-") + item);
    }
  });
  tendril::yield();
  CHECK(log.text() == "put-a put-b");
  CHECK(queue.full());
  CHECK(queue.get() == "a");
  CHECK(queue.get() == "b");
  CHECK(queue.get() == "c");
  producer.join();
  CHECK(queue.get() == "d");
  auto consumer = tendril::spawn([&] { return queue.get(); });
  tendril::yield();
  queue.put("e");
  CHECK(consumer.get() == "e");
}

TEST_CASE("nobody loses an item: timeouts, kills and try forms") {
  Clean clean;
  tendril::Queue<std::unique_ptr<int>> queue(1);
  CHECK_THROWS_AS(queue.get_nowait(), tendril::Empty);
  CHECK_THROWS_AS(queue.get(1ms), tendril::Empty);
  CHECK(!queue.try_get());
  queue.put(std::make_unique<int>(1));
  CHECK_THROWS_AS(queue.put_nowait(std::make_unique<int>(2)), tendril::Full);
  CHECK_THROWS_AS(queue.put(std::make_unique<int>(2), 1ms), tendril::Full);
  auto kept = std::make_unique<int>(3);
  CHECK(!queue.try_put(kept));
  CHECK(*kept == 3);
  auto putter = tendril::spawn([&] { queue.put(std::make_unique<int>(4)); });
  tendril::yield();
  putter.kill();
  CHECK(*queue.get() == 1);
  CHECK(queue.empty());
  auto getter = tendril::spawn([&] { queue.get(); });
  tendril::yield();
  getter.kill();
  queue.put(std::make_unique<int>(5));
  CHECK(*queue.get() == 5);
}

TEST_CASE("getters are served in turn") {
  Clean clean;
  tendril::Queue<int> queue;
  Log log;
  auto get = [&](int who) {
    return tendril::spawn(
        [&queue, &log, who] { log.add(std::to_string(who) + ":" + std::to_string(queue.get())); });
  };
  auto a = get(1);
  auto b = get(2);
  tendril::yield();
  queue.put(10);
  queue.put(20);
  a.join();
  b.join();
  CHECK(log.text() == "1:10 2:20");
}

TEST_CASE("peek leaves the item in front") {
  Clean clean;
  tendril::Queue<std::string> queue;
  queue.put("first");
  queue.put("second");
  CHECK(queue.peek() == "first");
  CHECK(queue.get() == "first");
  CHECK(queue.get() == "second");
  CHECK_THROWS_AS(queue.peek_nowait(), tendril::Empty);
}

TEST_CASE("a last-in first-out queue") {
  Clean clean;
  tendril::LifoQueue<int> queue;
  for (int i = 0; i < 3; ++i) queue.put(i);
  CHECK(queue.get() == 2);
  CHECK(queue.get() == 1);
  CHECK(queue.get() == 0);
}

TEST_CASE("shutdown: gets go on until empty, puts and waits end") {
  Clean clean;
  tendril::Queue<int> queue(1);
  queue.put(1);
  auto putter = tendril::spawn([&] { queue.put(2); });
  tendril::yield();
  queue.shutdown();
  CHECK_THROWS_AS(putter.get(), tendril::ShutDown);
  CHECK_THROWS_AS(queue.put(3), tendril::ShutDown);
  CHECK(queue.get() == 1);
  CHECK_THROWS_AS(queue.get(), tendril::ShutDown);

  tendril::Queue<std::string> other;
  auto getter = tendril::spawn([&] { return other.get(); });
  tendril::yield();
  other.shutdown(true);
  CHECK_THROWS_AS(getter.get(), tendril::ShutDown);
  CHECK(!other.try_get());
}

TEST_CASE("iteration ends with the shutdown") {
  Clean clean;
  tendril::Queue<int> queue;
  auto sum = tendril::spawn([&] {
    int total = 0;
    for (int item : queue) total += item;
    return total;
  });
  tendril::yield();
  for (int i = 1; i <= 4; ++i) queue.put(i);
  queue.shutdown();
  CHECK(sum.get() == 10);
}

TEST_CASE("a joinable queue counts what is not done") {
  Clean clean;
  tendril::JoinableQueue<int> queue;
  CHECK_THROWS_AS(queue.task_done(), tendril::MisuseError);
  CHECK(queue.join());
  for (int i = 0; i < 3; ++i) queue.put(i);
  CHECK(!queue.join(1ms));
  auto worker = tendril::spawn([&] {
    for (int i = 0; i < 3; ++i) {
      queue.get();
      tendril::yield();
      queue.task_done();
    }
  });
  CHECK(queue.join());
  CHECK(queue.unfinished_tasks() == 0);
  worker.join();
}

TEST_CASE("a channel is a rendezvous") {
  Clean clean;
  tendril::Channel<std::string> channel;
  Log log;
  auto sender = tendril::spawn([&] {
    channel.put("x");
    log.add("sent");
  });
  tendril::yield();
  CHECK(log.text() == "");
  CHECK(channel.get() == "x");
  sender.join();
  CHECK(log.text() == "sent");
  CHECK_THROWS_AS(channel.put("y", 0ms), tendril::Full);
  auto receiver = tendril::spawn([&] { return channel.get(); });
  tendril::yield();
  channel.put("z", 0ms);
  CHECK(receiver.get() == "z");
}

TEST_CASE("many fibers of several OS threads, each item exactly once") {
  Clean clean;
  constexpr int kThreads = 3;
  constexpr int kItems = 3'000;
  tendril::Queue<int> queue(16);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&queue, t] {
      auto a = tendril::spawn([&queue, t] {
        for (int i = 0; i < kItems; i += 2) queue.put(t * kItems + i);
      });
      auto b = tendril::spawn([&queue, t] {
        for (int i = 1; i < kItems; i += 2) queue.put(t * kItems + i);
      });
      a.join();
      b.join();
    });
  }
  std::vector<int> seen(kThreads * kItems);
  auto consume = [&] {
    for (int item : queue) ++seen[static_cast<size_t>(item)];
  };
  auto c1 = tendril::spawn(consume);
  auto c2 = tendril::spawn(consume);
  auto closer = tendril::spawn([&] {
    while (true) {
      size_t sum = 0;
      for (const int n : seen) sum += static_cast<size_t>(n);
      if (sum == seen.size()) break;
      tendril::sleep(1ms);
    }
    queue.shutdown();
  });
  c1.join();
  c2.join();
  closer.join();
  for (auto& thread : threads) thread.join();
  CHECK(std::count(seen.begin(), seen.end(), 1) == kThreads * kItems);
}
