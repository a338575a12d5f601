#include "runtime/memory/allocator.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <thread>
#include <vector>

#include "runtime/memory/object_pool.hpp"

namespace rt = tendril::rt;

TEST_CASE("blocks are aligned, keep their contents when they grow, and are zeroed on request") {
  auto* block = static_cast<char*>(rt::runtime_allocate(10));
  CHECK(reinterpret_cast<uintptr_t>(block) % 16 == 0);
  std::memcpy(block, "123456789", 10);
  block = static_cast<char*>(rt::runtime_reallocate(block, 100'000));
  CHECK(std::strcmp(block, "123456789") == 0);
  rt::runtime_free(block);
  rt::runtime_free(nullptr);
  auto* zeroed = static_cast<char*>(rt::runtime_allocate_zeroed(100, 10));
  for (int i = 0; i < 1000; ++i) REQUIRE(zeroed[i] == 0);
  rt::runtime_free(zeroed);
  CHECK(rt::runtime_allocate_zeroed(SIZE_MAX, 2) == nullptr);
  CHECK(rt::runtime_allocate(SIZE_MAX) == nullptr);
}

TEST_CASE("several OS threads at once") {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      std::vector<unsigned char*> blocks;
      for (size_t i = 1; i < 500; ++i) {
        auto* block = static_cast<unsigned char*>(rt::runtime_allocate(i));
        std::memset(block, t, i);
        blocks.push_back(block);
      }
      for (size_t i = 1; i < 500; ++i) {
        for (size_t j = 0; j < i; ++j) REQUIRE(blocks[i - 1][j] == t);
        rt::runtime_free(blocks[i - 1]);
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST_CASE("a pool hands objects out again as they were left") {
  struct Thing {
    int value = 7;
  };
  static rt::ObjectPool<Thing> pool;
  Thing* first = pool.take();
  CHECK(first->value == 7);
  first->value = 8;
  pool.give_back(first);
  Thing* again = pool.take();
  CHECK(again == first);
  CHECK(again->value == 8);
  pool.give_back(again);
}
