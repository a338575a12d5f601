#include "tendril/errors.hpp"

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>
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

TEST_CASE("every wait at a dead end raises it anew, unless it has a limit") {
  Clean clean;
  tendril::Event event;
  CHECK_THROWS_AS(event.wait(), tendril::LoopExit);
  CHECK_THROWS_AS(event.wait(), tendril::LoopExit);
  CHECK_THROWS_AS(tendril::sleep(tendril::kForever), tendril::LoopExit);
  CHECK(!event.wait(1ms));
}

TEST_CASE("threads that all wait for ever are a dead end; the main one is told") {
  Clean clean;
  tendril::Event stuck;
  tendril::Event event;
  std::string told;
  std::thread other([&] {
    auto fiber = tendril::spawn({.name = "elsewhere"}, [&] { stuck.wait(); });
    fiber.join();
  });
  try {
    event.wait();
  } catch (const tendril::LoopExit& error) {
    told = error.what();
  }
  CHECK(told.find("main waits: event") != std::string::npos);
  CHECK(told.find("elsewhere (spawned at errors_test.cpp:") != std::string::npos);
  CHECK(told.find("(thread ") != std::string::npos);
  stuck.set();
  other.join();
}

TEST_CASE("a thread that ends and wakes nobody leaves a dead end behind") {
  Clean clean;
  tendril::Event event;
  std::thread other([] { tendril::sleep(2ms); });
  CHECK_THROWS_AS(event.wait(), tendril::LoopExit);
  other.join();
}

TEST_CASE("no LoopExit while a fiber of another thread waits for a time or a descriptor") {
  Clean clean;
  tendril::Event event;
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  std::thread other([&] {
    auto reader = tendril::spawn([&] {
      char byte;
      tendril::io::read(ends[0], &byte, 1);
      tendril::sleep(2ms);
      event.set();
    });
    tendril::sleep(2ms);
    tendril::io::write_all(ends[1], "x", 1);
    reader.join();
  });
  CHECK(event.wait());
  other.join();
  for (const int fd : ends) tendril::io::close(fd);
}

// The pool's threads of libuv and our own have nothing to do: they are no reason to wait.
TEST_CASE("idle threads of pools do not hide a dead end") {
  Clean clean;
  tendril::ThreadPool pool(2);
  CHECK(pool.apply([] { return 1; }) == 1);
  tendril::Event event;
  CHECK_THROWS_AS(event.wait(), tendril::LoopExit);
  CHECK(pool.apply([] { return 2; }) == 2);
}

TEST_CASE("no false LoopExit between two threads that wake each other") {
  Clean clean;
  tendril::Queue<int> there(1);
  tendril::Queue<int> back(1);
  std::thread other([&] {
    for (int i; (i = there.get()) != 0;) back.put(i);
  });
  for (int i = 1; i <= 20'000; ++i) {
    there.put(i);
    CHECK_FALSE(back.get() != i);
  }
  there.put(0);
  other.join();
}

TEST_CASE("a signal handler runs while every fiber waits") {
  Clean clean;
  static int ends[2];
  REQUIRE(pipe(ends) == 0);
  struct sigaction action {};
  struct sigaction former;
  action.sa_handler = [](int) {
    [[maybe_unused]] const ssize_t written = ::write(ends[1], "x", 1);
  };
  sigaction(SIGALRM, &action, &former);
  tendril::Event event;
  auto reader = tendril::spawn([&] {
    char byte;
    tendril::io::read(ends[0], &byte, 1);
    event.set();
  });
  const itimerval soon{{0, 0}, {0, 5'000}};
  setitimer(ITIMER_REAL, &soon, nullptr);
  CHECK(event.wait(10s));
  reader.kill();
  sigaction(SIGALRM, &former, nullptr);
  for (const int fd : ends) tendril::io::close(fd);
}

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

TEST_CASE("a hook gets what nobody else gets, instead of stderr") {
  Clean clean;
  static std::string heard;
  CHECK((tendril::set_error_hook([](const std::exception_ptr& error, const std::string& what) {
           try {
             std::rethrow_exception(error);
           } catch (const std::runtime_error& e) {
             heard = what + ": " + e.what();
           }
         }) == nullptr));
  const std::string text = stderr_of([] {
    tendril::spawn({.name = "loser"}, [] { throw std::runtime_error("lost"); });
    tendril::yield();
    tendril::yield();
  });
  CHECK((tendril::set_error_hook(nullptr) != nullptr));
  CHECK(text == "");
  CHECK(heard.starts_with("ended loser (spawned at errors_test.cpp:"));
  CHECK(heard.ends_with("): lost"));
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

TEST_CASE("a group or a pool that forgets a member does not swallow its exception") {
  Clean clean;
  const std::string text = stderr_of([] {
    tendril::Group group;
    group.spawn([] { throw std::runtime_error("in a group"); });
    CHECK(group.join());
    tendril::Pool pool(2);
    pool.spawn([] { throw std::runtime_error("in a pool"); });
    CHECK(pool.join());
    auto got = pool.spawn([] { throw std::runtime_error("got"); });
    CHECK_THROWS_AS(got.get(), std::runtime_error);
    tendril::yield();
  });
  CHECK(text.find("std::runtime_error: in a group\n") != std::string::npos);
  CHECK(text.find("std::runtime_error: in a pool\n") != std::string::npos);
  CHECK(text.find("got") == std::string::npos);
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
