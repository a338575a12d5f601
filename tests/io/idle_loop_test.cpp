// The hub sleeps while nothing happens, also once its libuv loop has been made.
#include <ctime>

#include "io_tests.hpp"

using namespace std::chrono_literals;

TEST_CASE("an idle loop costs nothing") {
  CleanIo clean;
  const clock_t before = clock();
  tendril::sleep(200ms);
  CHECK(clock() - before < CLOCKS_PER_SEC / 20);
}
