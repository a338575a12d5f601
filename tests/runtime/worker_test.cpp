#include "runtime/hub/worker.hpp"

#include <uv.h>

#include <string>
#include <thread>
#include <vector>

#include "on_worker.hpp"
#include "runtime/loop/uv_loop.hpp"

TEST_CASE("fibers run in turn; what woke from a wait comes before what yielded") {
  OnWorker here;
  std::string order;
  rt::WaitToken token;
  auto waiter = [&] {
    token = rt::begin_wait(rt::WaitKind::kOther, nullptr);
    rt::park(rt::kForever);
    order += 'w';
  };
  auto yielder = [&] {
    for (int i = 0; i < 2; ++i) {
      order += 'y';
      rt::yield();
    }
  };
  start(waiter);
  start(yielder);
  rt::yield();
  CHECK(order == "y");
  rt::wake(token);
  rt::yield();
  rt::yield();
  CHECK(order == "ywy");
  rt::yield();
}

TEST_CASE("chatty fibers starve neither timers nor other OS threads' wakes") {
  OnWorker here;
  bool over = false;
  bool slept = false;
  auto chatty = [&] {
    while (!over) rt::yield();
  };
  auto sleeper = [&] {
    rt::sleep_until(rt::deadline_after(1'000'000));
    slept = true;
  };
  start(chatty);
  start(chatty);
  start(sleeper);
  while (!slept) rt::yield();
  const rt::WaitToken token = rt::begin_wait(rt::WaitKind::kOther, nullptr);
  std::thread thread([token] { rt::wake(token); });
  CHECK(rt::park(rt::kForever) == rt::WakeReason::kWoken);
  thread.join();
  over = true;
  rt::yield();
  rt::yield();
}

TEST_CASE("the embedded libuv loop runs its timers and cross-thread wake-ups") {
  OnWorker here;
  static bool fired = false;
  static bool woken = false;
  uv_timer_t timer;
  uv_timer_init(rt::uv_loop_here(), &timer);
  uv_timer_start(
      &timer, [](uv_timer_t*) { fired = true; }, 1, 0);
  while (!fired) rt::sleep_until(rt::deadline_after(500'000));
  uv_async_t async;
  uv_async_init(rt::uv_loop_here(), &async, [](uv_async_t*) { woken = true; });
  std::thread thread([&] { uv_async_send(&async); });
  while (!woken) rt::sleep_until(rt::deadline_after(500'000));
  thread.join();
}  // the worker closes the handles with the loop

TEST_CASE("a worker is used again by the next OS thread") {
  rt::Worker* first = nullptr;
  rt::Worker* second = nullptr;
  std::thread([&] { first = OnWorker().worker(); }).join();
  std::thread([&] { second = OnWorker().worker(); }).join();
  CHECK(first == second);
}

TEST_CASE("hundreds of fibers end in any order and their stacks are used again") {
  OnWorker here;
  int alive = 0;
  auto body = [&] {
    ++alive;
    rt::sleep_until(rt::deadline_after(100'000 * (alive % 7)));
    --alive;
  };
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 600; ++i) start(body);
    do {
      rt::sleep_until(rt::deadline_after(200'000));
    } while (alive > 0);
  }
  rt::yield();
}
