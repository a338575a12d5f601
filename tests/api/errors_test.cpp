#include "tendril/errors.hpp"

#include <uv.h>

#include <cstdio>
#include <regex>
#include <stdexcept>
#include <thread>

#include "clean.hpp"
#include "tendril/hub.hpp"

using namespace std::chrono_literals;

namespace {

// What the callback writes to stderr.
template <typename Callback>
std::string stderr_of(Callback&& callback) {
  std::fflush(stderr);
  char path[] = "/tmp/tendril-stderr-XXXXXX";
  const int file = mkstemp(path);
  unlink(path);
  const int saved = dup(2);
  dup2(file, 2);
  callback();
  dup2(saved, 2);
  ::close(saved);
  std::string text(4096, '\0');
  text.resize(static_cast<size_t>(pread(file, text.data(), text.size(), 0)));
  ::close(file);
  return text;
}

}  // namespace

#if !defined(__SANITIZE_THREAD__)  // which has a thread of its own: somebody might wake us
TEST_CASE("waiting for ever with nothing left raises LoopExit, which says who waits on what") {
  Clean clean;
  tendril::Event event;
  tendril::Queue<int> queue;
  auto stuck = tendril::spawn({.name = "stuck one"}, [&] { queue.get(); });
  try {
    event.wait();
    FAIL("not reached");
  } catch (const tendril::LoopExit& error) {
    const std::string what = error.what();
    CHECK(what.find("would block for ever") != std::string::npos);
    CHECK(what.find("main waits: event") != std::string::npos);
    CHECK(what.find("stuck one") != std::string::npos);
    CHECK(what.find("errors_test.cpp") != std::string::npos);
    CHECK(what.find("waits: queue") != std::string::npos);
  }
  stuck.kill();
}
#endif

TEST_CASE("no LoopExit while a timer, a descriptor or another OS thread may wake somebody") {
  Clean clean;
  tendril::Event event;
  CHECK(!event.wait(5ms));
  std::thread thread([&] {
    std::this_thread::sleep_for(5ms);
    event.set();
  });
  CHECK(event.wait());
  thread.join();
}

TEST_CASE("an exception that nobody gets is reported with name and place") {
  Clean clean;
  const std::string text = stderr_of([] {
    tendril::spawn({.name = "loser"}, [] { throw std::runtime_error("lost"); });
    tendril::yield();
    tendril::yield();
  });
  CHECK(std::regex_search(text,
                          std::regex("^tendril: unhandled exception ended loser \\(spawned at "
                                     "errors_test.cpp:[0-9]+\\): std::runtime_error: lost\n$")));
}

TEST_CASE("one that somebody got, and GreenletExit, are not reported") {
  Clean clean;
  const std::string text = stderr_of([] {
    auto fiber = tendril::spawn([] { throw std::runtime_error("got"); });
    CHECK_THROWS_AS(fiber.get(), std::runtime_error);
    tendril::spawn([] {
      throw std::runtime_error("linked");
    }).link_exception([](const tendril::FiberHandle&) {});
    tendril::spawn([] { throw tendril::GreenletExit(); });
    tendril::yield();
    tendril::yield();
  });
  CHECK(text == "");
}

TEST_CASE("a link that throws is reported") {
  Clean clean;
  const std::string text = stderr_of([] {
    auto fiber = tendril::spawn([] {});
    fiber.link([](const tendril::FiberHandle&) { throw std::logic_error("from the link"); });
    fiber.join();
    tendril::yield();
  });
  CHECK(text.find("in a link of fiber") != std::string::npos);
  CHECK(text.find("from the link") != std::string::npos);
}

// The loop ends with its OS thread.
template <typename Body>
static void on_own_thread(Body body) {
  std::thread(std::move(body)).join();
}

TEST_CASE("what may block is refused in a callback on the hub") {
  on_own_thread([] { tendril::this_hub().loop(); });  // libuv keeps two for the process
  Clean clean;
  on_own_thread([] {
    static bool refused = false;
    static tendril::Event* fired;
    tendril::Event event;
    fired = &event;
    uv_timer_t timer;
    uv_timer_init(tendril::this_hub().loop(), &timer);
    const auto callback = [](uv_timer_t*) {
      try {
        tendril::sleep(1ms);
      } catch (const tendril::BlockingInHub&) {
        refused = true;
      }
      fired->set();
    };
    uv_timer_start(&timer, callback, 1, 0);
    CHECK(event.wait());
    CHECK(refused);
    event.clear();
    uv_close(reinterpret_cast<uv_handle_t*>(&timer), [](uv_handle_t*) { fired->set(); });
    CHECK(event.wait());  // the handle is ours until then
  });
}

TEST_CASE("a libuv timer beside fibers, which wait for it") {
  on_own_thread([] { tendril::this_hub().loop(); });  // libuv keeps two for the process
  Clean clean;
  on_own_thread([] {
    tendril::Event event;
    uv_timer_t timer;
    timer.data = &event;
    uv_timer_init(tendril::this_hub().loop(), &timer);
    uv_timer_start(
        &timer, [](uv_timer_t* t) { static_cast<tendril::Event*>(t->data)->set(); }, 2, 0);
    CHECK(event.wait());
    event.clear();
    uv_close(reinterpret_cast<uv_handle_t*>(&timer),
             [](uv_handle_t* t) { static_cast<tendril::Event*>(t->data)->set(); });
    CHECK(event.wait());
  });
}

TEST_CASE("a fiber that joins itself is told so") {
  Clean clean;
  tendril::Fiber<> fiber;
  fiber = tendril::spawn([&] { fiber.join(); });
  CHECK_THROWS_AS(fiber.get(), tendril::MisuseError);
}
