// What becomes of fibers in the child of fork.
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "clean.hpp"
#include "runtime/hub/interposed.hpp"

using namespace std::chrono_literals;

namespace {

// The number of the first expectation that did not hold; 0: all did.
class Expectations {
 public:
  void expect(bool holds) {
    ++number_;
    if (!holds && failed_ == 0) failed_ = number_;
  }
  int failed() const { return failed_; }

 private:
  int number_ = 0;
  int failed_ = 0;
};

int status_of(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) tendril::sleep(1ms);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// What the body says in a child.
template <typename Body>
int in_child(Body&& body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    int failed = 99;
    try {
      Expectations e;
      body(e);
      failed = e.failed();
    } catch (...) {
    }
    _exit(failed);
  }
  return status_of(child);
}

}  // namespace

TEST_CASE("a child can spawn, sleep and join; its hub sees descriptors and timers") {
  Clean clean;
  CHECK(in_child([](Expectations& e) {
          auto fiber = tendril::spawn([] {
            tendril::sleep(2ms);
            return 7;
          });
          e.expect(fiber.get() == 7);
          int ends[2];
          e.expect(pipe(ends) == 0);
          auto reader = tendril::spawn([&] {
            char byte = 0;
            return tendril::io::read(ends[0], &byte, 1, 5s) == 1 && byte == 'x';
          });
          tendril::sleep(1ms);
          tendril::io::write_all(ends[1], "x", 1);
          e.expect(reader.get());
          e.expect(!tendril::try_within(1ms, [] { tendril::sleep(1h); }));
          e.expect(tendril::offload([] { return 3; }) == 3);
        }) == 0);
}

TEST_CASE("the parent's other fibers do not run in the child, and go on in the parent") {
  Clean clean;
  static int runs = 0;
  runs = 0;
  tendril::Event event;
  tendril::Queue<int> queue;
  int got = 0;
  auto ready = tendril::spawn([] { ++runs; });
  auto sleeper = tendril::spawn([] {
    tendril::sleep(5ms);
    ++runs;
  });
  auto waiter = tendril::spawn([&] {
    event.wait();
    ++runs;
  });
  auto getter = tendril::spawn([&] { got = queue.get(); });
  auto fresh = tendril::spawn([] { ++runs; });
  tendril::yield();
  auto later = tendril::spawn([] { ++runs; });
  const int before = runs;
  CHECK(in_child([&](Expectations& e) {
          event.set();
          queue.put(1);
          tendril::sleep(20ms);
          e.expect(runs == before);
          e.expect(got == 0);
          e.expect(queue.get() == 1);  // nobody of the parent has taken it
          e.expect(waiter.ready() && waiter.successful());
          e.expect(waiter.join(0ms));
          try {
            waiter.get();
            e.expect(false);
          } catch (const tendril::GreenletExit&) {
            e.expect(true);
          }
          waiter.kill();
          e.expect(tendril::this_hub().join(0ms));
          e.expect(tendril::list_fibers().size() == 1);
        }) == 0);
  event.set();
  queue.put(2);
  for (const auto& fiber : {ready, sleeper, waiter, getter, fresh, later}) fiber.join();
  CHECK(runs == 5);
  CHECK(got == 2);
}

TEST_CASE("a Timeout that runs goes on in the child") {
  Clean clean;
  tendril::Timeout limit(50ms);
  int failed = -1;
  try {
    failed = in_child([&](Expectations& e) {
      if (tendril::rt::is_interposed()) return;  // timers are not inherited there
      try {
        tendril::sleep(10s);
        e.expect(false);
      } catch (const tendril::TimeoutError& error) {
        e.expect(error.is(limit));
      }
    });
  } catch (const tendril::TimeoutError& error) {
    CHECK(error.is(limit));
    limit.cancel();
    return;
  }
  CHECK(failed == 0);
}

TEST_CASE("a spawned fiber that forks goes on in the child, which ends with it") {
  Clean clean;
  tendril::Event never;
  int pipe_ends[2];
  REQUIRE(pipe(pipe_ends) == 0);
  auto bystander = tendril::spawn([&] { never.wait(); });
  auto forker = tendril::spawn({.name = "forker"}, [&] {
    const pid_t child = fork();
    if (child != 0) return child;
    alarm(20);
    // What the parent's fibers own is never freed here: no leak of the child's.
    on_exit([](int status, void*) { _exit(status); }, nullptr);
    auto inner = tendril::spawn([] {
      tendril::sleep(1ms);
      return 5;
    });
    const bool as_it_should = inner.get() == 5 && tendril::current_fiber().name() == "forker";
    tendril::spawn([end = pipe_ends[1]] {
      tendril::sleep(1ms);
      tendril::io::write_all(end, "end", 3);
    });
    tendril::io::write_all(pipe_ends[1], as_it_should ? "good " : "bad ", 5);
    return child;
  });
  const pid_t child = forker.get();
  CHECK(status_of(child) == 0);
  ::close(pipe_ends[1]);
  char text[16] = {};
  size_t length = 0;
  for (ssize_t n; (n = ::read(pipe_ends[0], text + length, sizeof text - length)) > 0;) {
    length += static_cast<size_t>(n);
  }
  CHECK(std::string(text, length) == "good end");
  ::close(pipe_ends[0]);
  bystander.kill();
}

TEST_CASE("greenlets that wait in a switch are in the child too") {
  Clean clean;
  tendril::Greenlet g([](tendril::Value first) {
    return std::any_cast<int>(tendril::Greenlet::current().parent().switch_to(first)) + 1;
  });
  g.switch_to(1);
  if (!tendril::rt::is_interposed()) {  // there they are threads
    CHECK(in_child([&](Expectations& e) {
            e.expect(std::any_cast<int>(g.switch_to(41)) == 42);
            e.expect(g.dead());
          }) == 0);
  }
  CHECK(std::any_cast<int>(g.switch_to(1)) == 2);
}

TEST_CASE("the fibers of other threads are not in the child, nor do they hide a dead end") {
  Clean clean;
  tendril::Event stop;
  tendril::Event ready;
  std::thread other([&] {
    auto fiber = tendril::spawn([&] {
      ready.set();
      stop.wait();
    });
    fiber.join();
  });
  ready.wait();
  CHECK(in_child([](Expectations& e) {
          tendril::Event event;
          try {
            event.wait();
            e.expect(false);
          } catch (const tendril::LoopExit&) {
            e.expect(true);
          }
          std::thread([&] { e.expect(tendril::spawn([] { return 1; }).get() == 1); }).join();
        }) == 0);
  stop.set();
  other.join();
}

TEST_CASE(
    "the child reads and writes sockets of its own, and what the parent waits for is the "
    "parent's") {
  Clean clean;
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  const auto read_some = [](int fd) {
    char buffer[16];
    return std::string(buffer, tendril::io::read(fd, buffer, sizeof buffer));
  };
  const auto exchange = [&](int from, int to) {
    auto reader = tendril::spawn([&] { return read_some(to); });
    tendril::sleep(1ms);
    tendril::io::write_all(from, "text", 4);
    return reader.get() == "text";
  };
  CHECK(exchange(ends[0], ends[1]));
  CHECK(exchange(ends[1], ends[0]));
  auto reader = tendril::spawn([&] { return read_some(ends[0]); });
  tendril::sleep(1ms);
  CHECK(in_child([&](Expectations& e) {
          int own[2];
          e.expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, own) == 0);
          for (int i = 0; i < 3; ++i) e.expect(exchange(own[0], own[1]));
          tendril::io::close(own[0]);
          e.expect(read_some(own[1]).empty());
        }) == 0);
  CHECK(!reader.ready());
  tendril::io::write_all(ends[1], "data", 4);
  CHECK(reader.get() == "data");
  for (const int fd : ends) tendril::io::close(fd);
}

TEST_CASE("what is spawned in the child takes the place of what has ended in the parent") {
  Clean clean;
  const auto spawn_many = [] {
    std::vector<tendril::Fiber<int>> all;
    for (int i = 0; i < 50; ++i) {
      all.push_back(tendril::spawn([i] {
        tendril::yield();
        return i;
      }));
    }
    int sum = 0;
    for (auto& fiber : all) sum += fiber.get();
    return sum;
  };
  constexpr int kSum = 49 * 50 / 2;
  CHECK(spawn_many() == kSum);
  const size_t before = tendril::list_fibers().size();
  CHECK(in_child([&](Expectations& e) {
          e.expect(tendril::list_fibers().size() == before);
          e.expect(spawn_many() == kSum);
          e.expect(tendril::list_fibers().size() == before);
          tendril::Event open;
          auto parked = tendril::spawn([&open] { open.wait(); });
          tendril::yield();
          e.expect(tendril::list_fibers().size() == before + 1);
          open.set();
          parked.join();
        }) == 0);
  CHECK(spawn_many() == kSum);
}
