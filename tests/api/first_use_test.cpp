// What the library knows of a process that has run for a while before it is used first.
#include <doctest/doctest.h>

#include <chrono>
#include <thread>
#include <vector>

#include "tendril/tendril.hpp"

using namespace std::chrono_literals;

TEST_CASE("a dead end is found though others fell asleep before the library was used") {
  // In a green process these run on all workers, which have nothing to do afterwards.
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([] {
      const auto end = std::chrono::steady_clock::now() + 5ms;
      while (std::chrono::steady_clock::now() < end) {
      }
      std::this_thread::sleep_for(20ms);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::this_thread::sleep_for(50ms);
  tendril::Event never;
  CHECK_THROWS_AS(never.wait(), tendril::LoopExit);
}
