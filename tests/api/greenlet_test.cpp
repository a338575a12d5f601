#include "tendril/greenlet.hpp"

#include <stdexcept>
#include <thread>

#include "clean.hpp"

using namespace std::chrono_literals;
using tendril::Greenlet;
using tendril::GreenletExit;
using tendril::Value;

namespace {
template <typename T>
T as(const Value& value) {
  return std::any_cast<T>(value);
}
}  // namespace

TEST_CASE("values go back and forth, the last one to the parent") {
  Clean clean;
  Greenlet g([](Value first) {
    const Greenlet parent = Greenlet::current().parent();
    const int second = as<int>(parent.switch_to(as<int>(first) + 1));
    const int third = as<int>(parent.switch_to(second + 1));
    return third + 1;
  });
  CHECK(!g.started());
  CHECK(!g);
  CHECK(as<int>(g.switch_to(1)) == 2);
  CHECK(g);
  CHECK(as<int>(g.switch_to(10)) == 11);
  CHECK(as<int>(g.switch_to(100)) == 101);
  CHECK(g.dead());
  CHECK(!g);
}

TEST_CASE("an exception that leaves it is thrown in the parent") {
  Clean clean;
  Greenlet g([] { throw std::domain_error("inside"); });
  CHECK_THROWS_WITH_AS(g.switch_to(), "inside", std::domain_error);
  CHECK(g.dead());
}

TEST_CASE("throw_in raises at the switch; GreenletExit comes back as a value") {
  Clean clean;
  Greenlet g([] {
    try {
      Greenlet::current().parent().switch_to();
    } catch (const std::range_error&) {
      return std::string("caught");
    }
    return std::string("not reached");
  });
  g.switch_to();
  CHECK(as<std::string>(g.throw_in(std::make_exception_ptr(std::range_error("x")))) == "caught");
  Greenlet h([] { Greenlet::current().parent().switch_to(); });
  h.switch_to();
  as<GreenletExit>(h.throw_in());
  CHECK(h.dead());
}

TEST_CASE("one that has not begun ends at once by throw_in") {
  Clean clean;
  bool ran = false;
  Greenlet g([&] { ran = true; });
  as<GreenletExit>(g.throw_in());
  CHECK(g.dead());
  Greenlet h([&] { ran = true; });
  CHECK_THROWS_AS(h.throw_in(std::make_exception_ptr(std::logic_error("x"))), std::logic_error);
  CHECK(!ran);
}

TEST_CASE("a switch to a dead one reaches the nearest living ancestor") {
  Clean clean;
  Greenlet child;
  Greenlet middle([&] {
    child = Greenlet([] {});
    child.switch_to();
    Greenlet::current().parent().switch_to(child);
  });
  middle.switch_to();
  CHECK(child.dead());
  CHECK(child.parent() == middle);
  child.switch_to();  // resumes middle, which ends
  CHECK(middle.dead());
  CHECK(as<int>(child.switch_to(7)) == 7);  // that is us
}

TEST_CASE("the parent can be set, a cycle cannot") {
  Clean clean;
  Greenlet a([](Value v) { return v; });
  Greenlet b([](Value v) { return as<int>(v) * 2; });
  a.set_parent(b);
  CHECK(a.parent() == b);
  CHECK_THROWS_AS(b.set_parent(a), tendril::GreenletError);
  CHECK_THROWS_AS(b.set_parent(b), tendril::GreenletError);
  CHECK(as<int>(a.switch_to(4)) == 8);  // a's value begins b, b's comes here
  CHECK(a.dead());
  CHECK(b.dead());
}

TEST_CASE("destructors run when the last reference goes away") {
  Clean clean;
  Log log;
  struct Note {
    Log& log;
    ~Note() { log.add("destroyed"); }
  };
  {
    Greenlet g([&] {
      Note note{log};
      Greenlet::current().parent().switch_to();
      log.add("never");
    });
    g.switch_to();
    CHECK(log.text() == "");
  }
  CHECK(log.text() == "destroyed");
  {
    Greenlet never_begun([&] { log.add("never"); });
  }
  CHECK(log.text() == "destroyed");
}

TEST_CASE("switching to another OS thread's greenlet is refused") {
  Clean clean;
  Greenlet g([] {});
  std::thread([&] { CHECK_THROWS_AS(g.switch_to(), tendril::GreenletError); }).join();
  g.switch_to();
}

TEST_CASE("greenlets wait for other things, and mix with fibers") {
  Clean clean;
  Log log;
  auto fiber = tendril::spawn([&] {
    Greenlet g([&] {
      tendril::sleep(1ms);
      log.add("slept");
      return 5;
    });
    log.add(std::to_string(as<int>(g.switch_to())));
  });
  log.add("main");
  fiber.get();
  CHECK(log.text() == "main slept 5");
}

TEST_CASE("a kill ends a fiber that waits in a switch; who sleeps cannot be switched to") {
  Clean clean;
  Greenlet g;
  auto fiber = tendril::spawn([&] {
    g = Greenlet([] { tendril::sleep(5ms); });
    g.switch_to();
  });
  tendril::yield();
  tendril::yield();
  CHECK_THROWS_AS(g.switch_to(), tendril::GreenletError);
  fiber.kill();
  while (!g.dead()) tendril::sleep(1ms);
}

TEST_CASE("the trace sees switches and throws") {
  Clean clean;
  static int switches = 0;
  static int throws = 0;
  tendril::set_greenlet_trace(
      [](tendril::GreenletEvent event, const Greenlet& origin, const Greenlet& target) {
        CHECK(!(origin == target));
        ++(event == tendril::GreenletEvent::kSwitch ? switches : throws);
      });
  Greenlet g([] { Greenlet::current().parent().switch_to(); });
  g.switch_to();
  g.throw_in();
  CHECK((tendril::set_greenlet_trace(nullptr) != nullptr));
  CHECK(switches == 3);
  CHECK(throws == 1);
}

TEST_CASE("a trace is its thread's own; one that throws ends the tracing") {
  Clean clean;
  static int calls = 0;
  static int calls_elsewhere = 0;
  tendril::set_greenlet_trace(
      [](tendril::GreenletEvent, const Greenlet&, const Greenlet&) { ++calls; });
  std::thread([] {
    CHECK((tendril::set_greenlet_trace(nullptr) == nullptr));
    Greenlet g([] {});
    g.switch_to();
    tendril::set_greenlet_trace(
        [](tendril::GreenletEvent, const Greenlet&, const Greenlet&) { ++calls_elsewhere; });
    Greenlet h([] {});
    h.switch_to();
  }).join();
  CHECK(calls == 0);
  CHECK(calls_elsewhere == 2);

  tendril::set_greenlet_trace([](tendril::GreenletEvent, const Greenlet&, const Greenlet&) {
    ++calls;
    throw std::logic_error("from the trace");
  });
  bool ran = false;
  Greenlet g([&] { ran = true; });
  CHECK_THROWS_WITH_AS(g.switch_to(), "from the trace", std::logic_error);
  CHECK(!ran);
  CHECK(calls == 1);
  CHECK((tendril::set_greenlet_trace(nullptr) == nullptr));
}

TEST_CASE("a thread that ends ends its greenlets") {
  Clean clean;
  bool destroyed = false;
  struct Note {
    bool& flag;
    ~Note() { flag = true; }
  };
  Greenlet kept;
  std::thread([&] {
    kept = Greenlet([&] {
      Note note{destroyed};
      Greenlet::current().parent().switch_to();
    });
    kept.switch_to();
    CHECK(!destroyed);
  }).join();
  CHECK(destroyed);
  CHECK(kept.dead());
  CHECK_THROWS_AS(kept.switch_to(), tendril::GreenletError);
}
