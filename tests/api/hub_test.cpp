#include "tendril/hub.hpp"

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
