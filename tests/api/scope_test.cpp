#include "tendril/scope.hpp"

#include <stdexcept>

#include "clean.hpp"

using namespace std::chrono_literals;

TEST_CASE("the end of the block waits for its fibers") {
  Clean clean;
  int done = 0;
  {
    tendril::Scope scope;
    for (int i = 0; i < 3; ++i) {
      scope.spawn([&] {
        tendril::sleep(1ms);
        ++done;
      });
    }
    CHECK(done == 0);
  }
  CHECK(done == 3);
}

TEST_CASE("an exception that leaves the block kills them first") {
  Clean clean;
  bool destroyed = false;
  struct Guard {
    bool& flag;
    ~Guard() { flag = true; }
  };
  const auto body = [&] {
    tendril::Scope scope;
    scope.spawn([&] {
      Guard guard{destroyed};
      tendril::sleep(1h);
    });
    tendril::yield();
    throw std::runtime_error("out");
  };
  CHECK_THROWS_WITH(body(), "out");
  CHECK(destroyed);
}

TEST_CASE("one that fails ends the others, and its exception leaves the block") {
  Clean clean;
  const auto body = [] {
    tendril::Scope scope;
    scope.spawn([] { tendril::sleep(1h); });
    scope.spawn([] {
      tendril::yield();
      throw std::logic_error("failed");
    });
  };
  CHECK_THROWS_WITH(body(), "failed");
}

TEST_CASE("a kill or a timeout of the owner cancels inwards") {
  Clean clean;
  Log log;
  struct Note {
    Log& log;
    const char* what;
    ~Note() { log.add(what); }
  };
  auto owner = tendril::spawn([&] {
    tendril::Scope outer;
    outer.spawn([&] {
      Note note{log, "middle"};
      tendril::Scope inner;
      inner.spawn([&] {
        Note innermost{log, "inner"};
        tendril::sleep(1h);
      });
    });
  });
  tendril::yield();
  tendril::yield();
  tendril::yield();
  owner.kill();
  CHECK(log.text() == "inner middle");
  CHECK(!tendril::try_within(1ms, [] {
    tendril::Scope scope;
    scope.spawn([] { tendril::sleep(1h); });
  }));
}
