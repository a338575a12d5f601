#include "runtime/hub/convoy.hpp"

#include <doctest/doctest.h>

namespace rt = tendril::rt;

namespace {

// A window in which so many of the runs end at a lock at once; false if it is never full.
bool fill(rt::StrangeRuns& runs, int futile) {
  for (uint64_t i = 1; i <= rt::StrangeRuns::kWindow; ++i) {
    const bool full = runs.begin(i);
    if (static_cast<int>(i) <= futile) runs.meets_lock(i);
    if (full != (i == rt::StrangeRuns::kWindow)) return false;
  }
  return true;
}

void compute_for_a_moment() {
  const uint64_t begin = rt::cycle_count();
  while (rt::cycle_count() - begin < 100'000) {
  }
}

}  // namespace

TEST_CASE("a quarter of short runs that end at a lock is many") {
  rt::StrangeRuns runs;
  REQUIRE(fill(runs, 1));
  CHECK(!runs.judge());
  REQUIRE(fill(runs, rt::StrangeRuns::kWindow));
  CHECK(runs.judge());
  REQUIRE(fill(runs, 0));  // each window is judged for itself
  CHECK(!runs.judge());
}

TEST_CASE("a run that has computed, or was left in between, is not futile") {
  rt::StrangeRuns runs;
  for (uint64_t i = 0; i < rt::StrangeRuns::kWindow; ++i) {
    runs.begin(2 * i);
    if (i % 2 == 0) compute_for_a_moment();
    runs.meets_lock(2 * i + i % 2);  // of the odd ones another switch has ended the run
  }
  CHECK(!runs.judge());
}

TEST_CASE("runs that were taken from another worker begin one after the other") {
  rt::StrangeRuns runs;
  runs.steal();
  for (uint32_t i = 1; i <= rt::StrangeRuns::kWindow; ++i) {
    compute_for_a_moment();
    CHECK(runs.end_stolen(true) == (i == rt::StrangeRuns::kWindow));
  }
  CHECK(!runs.judge());
}

TEST_CASE("half of the workers are held back at a time, and all return in the end") {
  rt::Convoy convoy;
  convoy.open(4);
  CHECK(convoy.useful() == 4);
  CHECK(!convoy.release());
  convoy.judged(false, 4);
  CHECK(convoy.useful() == 4);
  const rt::Deadline before = rt::monotonic_now();
  convoy.judged(true, 4);
  CHECK(convoy.useful() == 2);
  CHECK(convoy.held_back_until() > before);
  convoy.judged(false, 4);  // says nothing about four
  CHECK(convoy.useful() == 2);
  convoy.judged(true, 4);
  convoy.judged(true, 4);
  CHECK(convoy.useful() == 1);  // one always runs
  CHECK(convoy.release());
  CHECK(convoy.useful() == 4);
}

TEST_CASE("what is halved are the workers that there are, and the pause ends by the clock") {
  rt::Convoy convoy;
  convoy.open(16);
  convoy.judged(true, 1);  // nobody to hold back
  CHECK(convoy.useful() == 16);
  convoy.judged(true, 3);
  CHECK(convoy.useful() == 1);
  convoy.look(convoy.held_back_until() - 1);
  CHECK(convoy.useful() == 1);
  convoy.look(convoy.held_back_until());
  CHECK(convoy.useful() == 16);
}

TEST_CASE("who is held back again is held back for longer, unless all was well in between") {
  rt::Convoy convoy;
  convoy.open(2);
  const auto pause = [&] {
    const rt::Deadline now = rt::monotonic_now();
    convoy.judged(true, 4);
    const rt::Nanoseconds length = convoy.held_back_until() - now;
    convoy.release();
    return length;
  };
  const rt::Nanoseconds first = pause();
  const rt::Nanoseconds second = pause();
  CHECK(second > first * 3 / 2);
  for (int i = 0; i < 20; ++i) convoy.judged(false, 4);
  CHECK(pause() < second);
  for (int i = 0; i < 20; ++i) pause();
  CHECK(pause() < 1'000'000'000);
}

namespace {

// Whether there is a window of lone periods; of so many that others overlap, and that compute.
bool has_lone_window(int together, int long_ones) {
  rt::LonePeriods periods;
  bool found = false;
  for (int window = 0; window < 4; ++window) {  // the time of the first begins when it is made
    for (uint32_t i = 0; i < rt::LonePeriods::kWindow; ++i) {
      periods.begin();
      if (static_cast<int>(i) < long_ones) compute_for_a_moment();
      found = periods.end(static_cast<int>(i) >= together) || found;
    }
  }
  return found;
}

}  // namespace

TEST_CASE("short periods in which nobody else is awake make the others useless") {
  CHECK(has_lone_window(0, 0));
  CHECK(has_lone_window(4, 0));
  CHECK(!has_lone_window(16, 0));
  CHECK(!has_lone_window(0, 16));
}

TEST_CASE("while one does it all the others are held back, and a moment after") {
  rt::Convoy convoy;
  convoy.open(4);
  convoy.one_does(1);  // the others were not made yet
  CHECK(!convoy.holds_anybody_back());
  convoy.one_does(4);
  CHECK(convoy.useful() == 2);
  const rt::Deadline until = convoy.held_back_until();
  convoy.one_does(4);
  CHECK(convoy.useful() == 1);
  convoy.one_does(4);
  CHECK(convoy.useful() == 1);
  CHECK(convoy.held_back_until() >= until);
  convoy.look(convoy.held_back_until() - 1);
  CHECK(convoy.useful() == 1);
  convoy.look(convoy.held_back_until());
  CHECK(convoy.useful() == 4);
}
