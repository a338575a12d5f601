#include "tendril/async_result.hpp"

#include <stdexcept>
#include <thread>

#include "clean.hpp"

using namespace std::chrono_literals;

TEST_CASE("a value set once is got by all") {
  Clean clean;
  tendril::AsyncResult<std::string> result;
  CHECK(!result.ready());
  CHECK_THROWS_AS(result.get(1ms), tendril::TimeoutError);
  CHECK_THROWS_AS(result.get_nowait(), tendril::TimeoutError);
  auto waiter = tendril::spawn([&] { return result.get(); });
  tendril::yield();
  CHECK(result.set("done"));
  CHECK(!result.set("again"));
  CHECK(waiter.get() == "done");
  CHECK(result.get_nowait() == "done");
  CHECK(result.successful());
}

TEST_CASE("exceptions and cancellation") {
  Clean clean;
  tendril::AsyncResult<int> failed;
  failed.set_exception(std::make_exception_ptr(std::logic_error("no")));
  CHECK_THROWS_AS(failed.get(), std::logic_error);
  CHECK(!failed.successful());
  tendril::AsyncResult<> cancelled;
  cancelled.cancel();
  CHECK_THROWS_AS(cancelled.get(), tendril::Cancelled);
}

TEST_CASE("it follows a fiber") {
  Clean clean;
  tendril::AsyncResult<int> good;
  tendril::AsyncResult<int> bad;
  good.follow(tendril::spawn([] { return 4; }));
  bad.follow(tendril::spawn([]() -> int { throw std::out_of_range("x"); }));
  CHECK(good.get() == 4);
  CHECK_THROWS_AS(bad.get(), std::out_of_range);
  tendril::yield();
}

TEST_CASE("set by another OS thread") {
  Clean clean;
  tendril::AsyncResult<int> result;
  std::thread thread([&] { result.set(3); });
  CHECK(result.get() == 3);
  thread.join();
}
