#include "tendril/fiber_local.hpp"

#include <memory>

#include "clean.hpp"

namespace {
tendril::FiberLocal<int> counter;
tendril::FiberLocal<std::shared_ptr<int>> shared;
}  // namespace

TEST_CASE("each fiber has its own value, from the same start") {
  Clean clean;
  *counter = 5;
  auto other = tendril::spawn([] {
    const int before = *counter;
    *counter = 7;
    tendril::yield();
    return before * 10 + *counter;
  });
  tendril::yield();
  CHECK(*counter == 5);
  CHECK(other.get() == 7);
  CHECK(*counter == 5);
}

TEST_CASE("values end with their fiber") {
  Clean clean;
  auto object = std::make_shared<int>(1);
  auto fiber = tendril::spawn([&] {
    CHECK(shared.get_if() == nullptr);
    *shared = object;
    tendril::yield();
  });
  tendril::yield();
  CHECK(object.use_count() == 2);
  fiber.join();
  CHECK(object.use_count() == 1);
}

TEST_CASE("reset destroys the value, the next use makes a new one") {
  Clean clean;
  *counter = 9;
  counter.reset();
  CHECK(*counter == 0);
}
