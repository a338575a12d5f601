#include "tendril/fiber.hpp"

#include <cerrno>
#include <cfenv>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "clean.hpp"
#include "runtime/hub/interposed.hpp"

using namespace std::chrono_literals;
using tendril::spawn;
namespace rt = tendril::rt;

TEST_CASE("a spawned fiber gives its value") {
  Clean clean;
  auto fiber = spawn([] { return 42; });
  CHECK(!fiber.started());
  CHECK(!fiber.ready());
  CHECK(fiber.get() == 42);
  CHECK(fiber.ready());
  CHECK(fiber.successful());
  CHECK(fiber.get() == 42);  // again
}

TEST_CASE("arguments are kept by value, values may be move-only or references") {
  Clean clean;
  auto sum = spawn([](int a, const std::string& b) { return a + static_cast<int>(b.size()); }, 1,
                   std::string("four"));
  CHECK(sum.get() == 5);
  auto moved = spawn([](std::unique_ptr<int> p) { return p; }, std::make_unique<int>(7));
  CHECK(*std::move(moved).get() == 7);
  int place = 0;
  auto reference = spawn([&]() -> int& { return place; });
  reference.get() = 9;
  CHECK(place == 9);
}

TEST_CASE("get rethrows what ended the fiber") {
  Clean clean;
  auto fiber = spawn([]() -> int { throw std::out_of_range("no such thing"); });
  CHECK_THROWS_WITH_AS(fiber.get(), "no such thing", std::out_of_range);
  CHECK(!fiber.successful());
  CHECK(fiber.exception() != nullptr);
  CHECK(fiber.join());
}

TEST_CASE("fibers run in the order of their spawning, and alternate by yield") {
  Clean clean;
  Log log;
  auto a = spawn([&] {
    log.add("a1");
    tendril::yield();
    log.add("a2");
  });
  auto b = spawn([&] {
    log.add("b1");
    tendril::yield();
    log.add("b2");
  });
  a.join();
  b.join();
  CHECK(log.text() == "a1 b1 a2 b2");
}

TEST_CASE("sleepers wake in the order of their deadlines") {
  Clean clean;
  Log log;
  std::vector<tendril::Fiber<>> sleepers;
  for (const int ms : {6, 2, 4}) {
    sleepers.push_back(spawn([&log, ms] {
      tendril::sleep(std::chrono::milliseconds(ms));
      log.add(std::to_string(ms));
    }));
  }
  for (auto& sleeper : sleepers) sleeper.join();
  CHECK(log.text() == "2 4 6");
}

TEST_CASE("join and get with a timeout leave the fiber alone") {
  Clean clean;
  tendril::Event may_end;
  auto fiber = spawn([&may_end] {
    may_end.wait();
    return 1;
  });
  CHECK(!fiber.join(1ms));
  CHECK_THROWS_AS(fiber.get(1ms), tendril::TimeoutError);
  CHECK(!fiber.join(0ms));
  may_end.set();
  CHECK(fiber.get() == 1);
}

TEST_CASE("a killed fiber runs its destructors and counts as successful") {
  Clean clean;
  Log log;
  struct Guard {
    Log& log;
    ~Guard() { log.add("destroyed"); }
  };
  auto fiber = spawn([&]() -> int {
    Guard guard{log};
    tendril::sleep(1h);
    return 1;
  });
  tendril::yield();
  CHECK(fiber.started());
  CHECK(fiber.kill());
  CHECK(log.text() == "destroyed");
  CHECK(fiber.successful());
  CHECK(fiber.exception() == nullptr);
  CHECK_THROWS_AS(fiber.get(), tendril::GreenletExit);
  CHECK(fiber.kill());
}

TEST_CASE("a fiber killed before it began never runs, and its links fire") {
  Clean clean;
  bool ran = false;
  bool linked = false;
  auto fiber = spawn([&] { ran = true; });
  fiber.link([&](const tendril::FiberHandle& done) { linked = done.successful(); });
  fiber.kill();
  CHECK(!ran);
  CHECK(linked);
  auto later = tendril::spawn_later(1h, [&] { ran = true; });
  tendril::yield();
  later.kill();
  CHECK(!ran);
}

TEST_CASE("kill throws any exception; a fiber may refuse to die") {
  Clean clean;
  auto fiber = spawn([] {
    try {
      tendril::sleep(1h);
    } catch (const std::runtime_error& error) {
      return std::string(error.what());
    }
    return std::string();
  });
  tendril::yield();
  fiber.kill(std::make_exception_ptr(std::runtime_error("stop")));
  CHECK(fiber.get() == "stop");
}

TEST_CASE("a kill meets a fiber that does not wait at its next wait") {
  Clean clean;
  Log log;
  tendril::Fiber<> victim;
  victim = spawn([&] {
    tendril::yield();
    log.add("awake");
    tendril::sleep(1h);
    log.add("never");
  });
  tendril::yield();
  victim.kill_soon();
  CHECK(!victim.ready());
  victim.join();
  CHECK(log.text() == "");
}

TEST_CASE("links fire by outcome, late ones too, and can be taken off") {
  Clean clean;
  Log log;
  const auto note = [&log](const char* what) {
    return [&log, what](const tendril::FiberHandle&) { log.add(what); };
  };
  auto good = spawn([] {});
  good.link(note("good"));
  good.link_value(note("value"));
  good.link_exception(note("never"));
  const auto taken_off = good.link(note("never"));
  CHECK(good.unlink(taken_off));
  CHECK(!good.unlink(taken_off));
  good.join();
  auto bad = spawn([] { throw std::runtime_error("bad"); });
  bad.link_value(note("never"));
  bad.link_exception(note("exception"));
  bad.join();
  good.link(note("late"));
  tendril::yield();
  tendril::yield();
  CHECK(log.text() == "good value exception late");
}

TEST_CASE("names and small reused identities") {
  Clean clean;
  auto named = tendril::spawn({.name = "reader"}, [] {});
  CHECK(named.name() == "reader");
  named.set_name("writer");
  CHECK(named.name() == "writer");
  unsigned first;
  {
    auto fiber = spawn([] {});
    first = fiber.ident();
    CHECK(fiber.ident() == first);
    CHECK(named.ident() != first);
    fiber.join();
  }
  auto next = spawn([] {});
  CHECK(next.ident() == first);
  CHECK(std::string(next.spawned_at().file_name()).ends_with("fiber_test.cpp"));
  CHECK(next.spawned_at().line() == __LINE__ - 3);
  next.join();
  named.join();
}

TEST_CASE("errno and the exception in flight belong to the fiber") {
  Clean clean;
  auto other = spawn([] {
    errno = 11;
    try {
      throw 1;
    } catch (int) {
      tendril::yield();
      CHECK(errno == 11);
      CHECK_NOTHROW([] {
        try {
          throw;
        } catch (int value) {
          CHECK(value == 1);
        }
      }());
    }
  });
  errno = 5;
  try {
    throw 2;
  } catch (int) {
    tendril::yield();
    CHECK(errno == 5);
    other.join();
    try {
      throw;
    } catch (int value) {
      CHECK(value == 2);
    }
  }
  CHECK(std::uncaught_exceptions() == 0);
}

TEST_CASE("a fiber begins like a thread, whatever those before it have left behind") {
  Clean clean;
  const int rounding = std::fegetround();
  for (int i = 0; i < 3; ++i) {
    spawn([] {
      errno = ERANGE;
      std::fesetround(FE_UPWARD);
    }).join();
    CHECK(std::fegetround() == rounding);
    auto fresh = spawn([] { return std::pair(errno, std::fegetround()); });
    CHECK(fresh.get() == std::pair(0, rounding));
  }
  std::fesetround(FE_DOWNWARD);  // the spawner's, as with pthread_create
  auto heir = spawn([] { return std::fegetround(); });
  std::fesetround(rounding);
  CHECK(heir.get() == FE_DOWNWARD);
  auto threw = spawn([]() -> int { throw std::runtime_error("left in flight"); });
  CHECK_THROWS_AS(threw.get(), std::runtime_error);
  CHECK(spawn([] { return std::uncaught_exceptions(); }).get() == 0);
}

TEST_CASE("fibers of a thread that has ended leave nothing to those of the next") {
  Clean clean;
  static thread_local int of_thread = 0;
  for (int round = 1; round <= 4; ++round) {
    std::thread([round] {
      of_thread = round;
      int* const place = &errno;
      std::vector<tendril::Fiber<bool>> all;
      for (int i = 0; i < 20; ++i) {
        all.push_back(spawn([round, place, i] {
          errno = 100 + i;
          tendril::yield();
          // Among green threads fibers are threads, with thread-locals of their own.
          const bool shared = rt::is_interposed() || (&errno == place && of_thread == round);
          return shared && errno == 100 + i;
        }));
      }
      for (auto& fiber : all) CHECK(fiber.get());
      CHECK(tendril::list_fibers(tendril::Threads::kThis).size() == 1);
    }).join();
  }
}

TEST_CASE("plain OS threads spawn, wait and join across threads") {
  Clean clean;
  for (int round = 0; round < 3; ++round) {
    tendril::Fiber<int> fiber;
    tendril::Event made;
    tendril::Event go;
    std::thread thread([&] {
      fiber = spawn([&] {
        go.wait();
        return 3;
      });
      made.set();
      fiber.join();
    });
    made.wait();
    tendril::sleep(1ms);
    go.set();
    CHECK(fiber.get() == 3);
    thread.join();
  }
}

TEST_CASE("an OS thread that ends kills its fibers first") {
  Clean clean;
  bool destroyed = false;
  struct Guard {
    bool& flag;
    ~Guard() { flag = true; }
  };
  std::thread([&] {
    spawn([&] {
      Guard guard{destroyed};
      tendril::sleep(1h);
    });
    tendril::yield();
  }).join();
  CHECK(destroyed);
}

TEST_CASE("a thread that ends kills the fibers that its fibers spawned, and destroys its locals") {
  Clean clean;
  static int destroyed = 0;
  destroyed = 0;
  struct Guard {
    ~Guard() { ++destroyed; }
  };
  static tendril::FiberLocal<Guard> local;
  tendril::Event never;
  std::thread([&] {
    spawn([&] {
      spawn([&] {
        Guard guard;
        never.wait();
      });
      Guard guard;
      never.wait();
    });
    (void)*local;
    tendril::yield();
    tendril::yield();
  }).join();
  CHECK(destroyed == 3);
}

TEST_CASE("the current fiber knows itself") {
  Clean clean;
  CHECK(!tendril::current_fiber());
  tendril::Fiber<bool> fiber;
  fiber = spawn([&] { return tendril::current_fiber() == fiber; });
  CHECK(fiber.get());
}

TEST_CASE("thousands of fibers at once") {
  Clean clean;
#if defined(__SANITIZE_THREAD__)
  constexpr long kFibers = 2'000;  // it counts each as a thread, and allows 8,128
#else
  constexpr long kFibers = 10'000;
#endif
  std::vector<tendril::Fiber<int>> fibers;
  for (int i = 0; i < kFibers; ++i) {
    fibers.push_back(spawn([i] {
      tendril::sleep(1ms);
      return i;
    }));
  }
  long sum = 0;
  for (auto& fiber : fibers) sum += fiber.get();
  CHECK(sum == kFibers * (kFibers - 1) / 2);
}
