#include "tendril/hub.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "clean.hpp"

using namespace std::chrono_literals;

TEST_CASE("join waits for every fiber of this thread") {
  Clean clean;
  int ended = 0;
  for (int i = 0; i < 3; ++i) {
    tendril::spawn([&] {
      tendril::spawn([&] {
        tendril::sleep(1ms);
        ++ended;
      });
    });
  }
  CHECK(!tendril::this_hub().join(0ms));
  CHECK(tendril::this_hub().join());
  CHECK(ended == 3);
}

TEST_CASE("the tree shows who spawned whom and what they wait for") {
  Clean clean;
  tendril::Event event;
  auto parent = tendril::spawn({.name = "parent"}, [&] {
    auto child = tendril::spawn({.name = "child"}, [&] { event.wait(); });
    tendril::sleep(1h);
  });
  tendril::yield();
  tendril::yield();
  const std::string tree = tendril::fiber_tree();
  CHECK(tree.starts_with("parent (spawned at hub_test.cpp:"));
  CHECK(tree.find(", waits: sleep\n  child (spawned at") != std::string::npos);
  CHECK(tree.find(", waits: event\n") != std::string::npos);
  event.set();
  parent.kill();
  tendril::this_hub().join();
}

TEST_CASE("the tree of all threads says whose a fiber is") {
  Clean clean;
  tendril::Event stop;
  tendril::Event ready;
  std::string thread;
  std::thread other([&] {
    thread = "thread " + std::to_string(gettid()) + "\n";
    auto outer = tendril::spawn({.name = "outer"}, [&] {
      auto inner = tendril::spawn({.name = "inner"}, [&] { stop.wait(); });
      inner.join();
    });
    tendril::yield();
    tendril::yield();
    ready.set();
    outer.join();
  });
  ready.wait();
  while (tendril::fiber_tree(tendril::Threads::kAll).find("main, waits: join") ==
         std::string::npos) {
    tendril::sleep(100us);
  }
  auto here = tendril::spawn({.name = "here"}, [] {});
  const std::string tree = tendril::fiber_tree(tendril::Threads::kAll);
  const size_t own = tree.find("thread " + std::to_string(gettid()) + "\n  main, running\n");
  CHECK(own != std::string::npos);
  CHECK(tree.find("  here (spawned at hub_test.cpp", own) != std::string::npos);
  const size_t others = tree.find(thread + "  main, waits: join\n  outer (spawned at hub_test.cpp");
  CHECK(others != std::string::npos);
  CHECK(tree.find(", waits: join\n    inner (spawned at hub_test.cpp", others) !=
        std::string::npos);
  CHECK(tree.find(", waits: event\n", others) != std::string::npos);
  CHECK(tendril::fiber_tree().find("outer") == std::string::npos);
  here.join();
  stop.set();
  other.join();
}

TEST_CASE("a list of fibers says what each is, and where") {
  Clean clean;
  tendril::Queue<int> queue;
  auto waiter = tendril::spawn({.name = "waiter"}, [&] { queue.get(); });
  tendril::yield();
  auto fresh = tendril::spawn({.name = "fresh"}, [] {});
  const auto all = tendril::list_fibers(tendril::Threads::kThis);
  const auto named = [&](const char* name) {
    return std::find_if(all.begin(), all.end(),
                        [&](const tendril::FiberInfo& info) { return info.name == name; });
  };
  REQUIRE(named("waiter") != all.end());
  CHECK(named("waiter")->fiber == waiter);
  CHECK(named("waiter")->state == tendril::FiberState::kWaiting);
  CHECK(std::string(named("waiter")->waits_for) == "queue");
  CHECK(named("waiter")->object != nullptr);
  CHECK(std::string(named("waiter")->spawned_at.file_name()).ends_with("hub_test.cpp"));
  CHECK(named("waiter")->thread == gettid());
  REQUIRE(named("fresh") != all.end());
  CHECK(named("fresh")->state == tendril::FiberState::kNew);
  REQUIRE(named("main") != all.end());
  CHECK(named("main")->state == tendril::FiberState::kRunning);
  CHECK(!named("main")->fiber);
  waiter.kill();
  fresh.join();
}

TEST_CASE("others may look while fibers come and go") {
  Clean clean;
  std::atomic<bool> over{false};
  std::thread other([&] {
    while (!over) {
      auto fiber = tendril::spawn({.name = "short"}, [] { tendril::yield(); });
      fiber.join();
      tendril::yield();
    }
  });
  size_t seen = 0;
  for (int i = 0; i < 2'000; ++i) {
    for (const auto& info : tendril::list_fibers()) seen += !info.name.empty();
    tendril::yield();
  }
  CHECK(seen >= 2'000);
  over = true;
  other.join();
}

__attribute__((noinline)) static tendril::Fiber<> spawn_from_here() {
  auto fiber = tendril::spawn([] {});
  asm volatile("" ::: "memory");  // no tail call: the frame stays
  return fiber;
}

TEST_CASE("a fiber remembers the stack it was spawned from, if that is asked for") {
  Clean clean;
  CHECK(tendril::spawn([] {}).spawning_stack().empty());
  CHECK(tendril::set_spawning_stack_limit(8) == 0);
  auto outer = tendril::spawn([] { return spawn_from_here().spawning_stack(); });
  const std::vector<std::string> inner_stack = outer.get();
  CHECK(inner_stack.size() >= 2);
  CHECK(inner_stack.size() <= 8);
  CHECK(inner_stack.front().find("hub_test") != std::string::npos);
  CHECK(outer.spawning_stack().front().find("hub_test") != std::string::npos);
  CHECK(tendril::set_spawning_stack_limit(0) == 8);
  CHECK(tendril::spawn([] {}).spawning_stack().empty());
  tendril::this_hub().join();
}
