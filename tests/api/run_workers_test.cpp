#include "tendril/run_workers.hpp"

#include <sys/resource.h>

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include "clean.hpp"
#include "runtime/hub/interposed.hpp"
#include "runtime/platform/usable_cores.hpp"

using namespace std::chrono_literals;

TEST_CASE("each call has an OS thread of its own, the caller's is the first") {
  Clean clean;
  tendril::Mutex mutex;
  std::set<unsigned> numbers;
  std::set<std::thread::id> threads;
  std::thread::id first;
  tendril::run_workers(4, [&](unsigned number) {
    CHECK(tendril::current_fiber().name() == "worker " + std::to_string(number));
    std::lock_guard lock(mutex);
    numbers.insert(number);
    threads.insert(std::this_thread::get_id());
    if (number == 0) first = std::this_thread::get_id();
  });
  CHECK(numbers == std::set<unsigned>{0, 1, 2, 3});
  if (tendril::rt::is_interposed()) return;  // where every fiber is a thread
  CHECK(threads.size() == 4);
  CHECK(first == std::this_thread::get_id());
}

TEST_CASE("a count of 0 means the usable cores") {
  Clean clean;
  std::atomic<unsigned> calls{0};
  tendril::run_workers(0, [&](unsigned) { ++calls; });
  CHECK(calls == tendril::rt::usable_cores());
}

TEST_CASE("all are there at the same time, and meet") {
  Clean clean;
  tendril::Barrier barrier(3);
  tendril::run_workers(3, [&](unsigned) { barrier.arrive_and_wait(); });
}

TEST_CASE("other fibers of the caller run meanwhile") {
  Clean clean;
  tendril::Event open;
  auto opener = tendril::spawn([&] { open.set(); });
  tendril::run_workers(2, [&](unsigned) { CHECK(open.wait(10s)); });
  opener.join();
}

TEST_CASE("queues between hubs lose nothing and keep the order") {
  Clean clean;
  constexpr int kItems = 20'000;
  tendril::Queue<int> there(64);
  tendril::Queue<int> back(64);
  tendril::run_workers(3, [&](unsigned number) {
    if (number == 0) {
      auto feeder = tendril::spawn([&] {
        for (int i = 0; i < kItems; ++i) there.put(i);
        there.shutdown();
      });
      for (int i = 0; i < kItems; ++i) REQUIRE(back.get() == i);
      feeder.join();
    } else if (number == 1) {
      for (int item : there) back.put(item);
    }
  });
}

TEST_CASE("fibers that a worker leaves behind are killed, those of the caller go on") {
  Clean clean;
  tendril::Event never;
  std::atomic<int> killed{0};
  struct Count {
    std::atomic<int>& count;
    ~Count() { ++count; }
  };
  tendril::FiberHandle left;
  tendril::run_workers(3, [&](unsigned number) {
    auto waiter = tendril::spawn([&] {
      const Count count{killed};
      never.wait();
    });
    tendril::yield();
    if (number == 0) left = waiter;
  });
  CHECK(killed == 2);
  CHECK(!left.ready());
  left.kill();
  CHECK(killed == 3);
}

TEST_CASE("what ends with a worker may wait for the caller's fibers") {
  Clean clean;
  tendril::Event asked;
  tendril::Event answered;
  auto helper = tendril::spawn([&] {
    asked.wait();
    answered.set();
  });
  tendril::run_workers(2, [&](unsigned number) {
    if (number == 0) return;
    tendril::spawn_raw([&] {
      try {
        tendril::sleep(1h);
      } catch (const tendril::GreenletExit&) {
        asked.set();
        CHECK(answered.wait(10s));
        throw;
      }
    });
    tendril::yield();
  });
  helper.join();
}

TEST_CASE("the first exception ends all others and is rethrown") {
  Clean clean;
  for (unsigned thrower : {0U, 2U}) {
    std::atomic<int> told{0};
    tendril::Barrier begun(4);
    const auto work = [&](unsigned number) {
      begun.arrive_and_wait();
      if (number == thrower) throw std::domain_error("no");
      try {
        tendril::sleep(1h);
      } catch (const tendril::GreenletExit&) {
        ++told;
        tendril::sleep(1ms);  // may clean up: told once
        throw;
      }
    };
    CHECK_THROWS_WITH_AS(tendril::run_workers(4, work), "no", std::domain_error);
    CHECK(told == 3);
  }
}

TEST_CASE("later exceptions are reported") {
  Clean clean;
  static std::atomic<int> reported;
  reported = 0;
  const auto before =
      tendril::set_error_hook([](const std::exception_ptr& error, const std::string&) {
        CHECK_THROWS_AS(std::rethrow_exception(error), std::range_error);
        ++reported;
      });
  tendril::Barrier begun(3);
  CHECK_THROWS_AS(tendril::run_workers(3,
                                       [&](unsigned number) {
                                         begun.arrive_and_wait();
                                         if (number == 1) throw std::domain_error("first");
                                         try {
                                           tendril::sleep(1h);
                                         } catch (const tendril::GreenletExit&) {
                                           throw std::range_error("later");
                                         }
                                       }),
                  std::domain_error);
  tendril::set_error_hook(before);
  CHECK(reported == 2);
}

TEST_CASE("a worker that is killed has ended well") {
  Clean clean;
  tendril::run_workers(2, [](unsigned number) {
    if (number == 1) throw tendril::GreenletExit();
    tendril::sleep(5ms);
  });
}

TEST_CASE("a timeout or a kill of the caller ends all calls") {
  Clean clean;
  std::atomic<int> ended{0};
  const auto work = [&](unsigned) {
    try {
      tendril::sleep(1h);
    } catch (const tendril::GreenletExit&) {
      ++ended;
      throw;
    }
  };
  tendril::Latch begun(2);
  auto caller = tendril::spawn([&] {
    tendril::run_workers(2, [&](unsigned number) {
      begun.count_down();
      work(number);
    });
  });
  begun.wait();
  caller.kill();
  CHECK(ended == 2);
  tendril::Timeout limit(10ms);
  CHECK_THROWS_AS(tendril::run_workers(2, [](unsigned) { tendril::sleep(1h); }),
                  tendril::TimeoutError);
  CHECK(caller.successful());
}

TEST_CASE("one in another is refused, as is one on a thread that is in one") {
  Clean clean;
  std::atomic<int> refused{0};
  tendril::run_workers(2, [&](unsigned) {
    CHECK_THROWS_AS(tendril::run_workers(1, [](unsigned) {}), tendril::MisuseError);
    ++refused;
  });
  CHECK(refused == 2);
  tendril::run_workers(1, [](unsigned) {});  // and goes on working
}

TEST_CASE("when there are no hubs to be had nothing is called") {
  if (tendril::rt::is_interposed()) return;  // where there is one hub for all
  Clean clean;
  rlimit limit;
  REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const rlimit none{3, limit.rlim_max};
  std::atomic<int> calls{0};
  const unsigned more_than_kept = tendril::rt::usable_cores() + 8;  // for threads to come
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  const auto before = tendril::set_error_hook([](const std::exception_ptr&, const std::string&) {});
  CHECK_THROWS_AS(tendril::run_workers(more_than_kept, [&](unsigned) { ++calls; }),
                  std::system_error);
  tendril::set_error_hook(before);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHECK(calls == 0);
}

TEST_CASE("a dead end of all workers is found") {
  Clean clean;
  tendril::Event never;
  CHECK_THROWS_AS(tendril::run_workers(3, [&](unsigned) { never.wait(); }), tendril::LoopExit);
}
