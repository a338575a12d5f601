#include "runtime/hub/park.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include "on_worker.hpp"

namespace {

constexpr rt::Nanoseconds kMillisecond = 1'000'000;

rt::WakeReason wait_until(rt::Deadline deadline, bool shielded = false) {
  rt::begin_wait(rt::WaitKind::kOther, nullptr, shielded);
  return rt::park(deadline);
}

}  // namespace

TEST_CASE("a parked fiber is woken once, by whoever claims its wait first") {
  OnWorker here;
  rt::WaitToken token;
  rt::WakeReason reason = rt::WakeReason::kNone;
  auto body = [&] {
    token = rt::begin_wait(rt::WaitKind::kEvent, &token);
    reason = rt::park(rt::kForever);
  };
  start(body);
  rt::yield();
  CHECK(rt::wake(token, rt::WakeReason::kClosed));
  CHECK(!rt::wake(token));
  rt::yield();
  CHECK(reason == rt::WakeReason::kClosed);
  CHECK(!rt::wake(token));  // that wait is over, whatever its fiber does now
}

TEST_CASE("a wake between begin_wait and park is not lost") {
  OnWorker here;
  const rt::WaitToken token = rt::begin_wait(rt::WaitKind::kOther, nullptr);
  CHECK(rt::wake(token));
  CHECK(rt::park(rt::kForever) == rt::WakeReason::kWoken);
}

TEST_CASE("a wait that is given up cannot be claimed, one that was claimed not given up") {
  OnWorker here;
  rt::WaitToken token = rt::begin_wait(rt::WaitKind::kOther, nullptr);
  CHECK(rt::cancel_wait(token));
  CHECK(!rt::wake(token));
  token = rt::begin_wait(rt::WaitKind::kOther, nullptr);
  CHECK(rt::claim(token));
  CHECK(!rt::cancel_wait(token));
  rt::let_run(token.fiber);
  CHECK(rt::park(rt::kForever) == rt::WakeReason::kWoken);
}

TEST_CASE("deadlines keep microseconds, and one that has passed ends the wait") {
  OnWorker here;
  CHECK(wait_until(0) == rt::WakeReason::kTimeout);
  const rt::Nanoseconds began = rt::monotonic_now();
  CHECK(wait_until(began + 50'000) == rt::WakeReason::kTimeout);
  CHECK(rt::monotonic_now() - began >= 50'000);
}

TEST_CASE("an interrupt ends a wait, at once the next one, a shielded one never") {
  OnWorker here;
  rt::Fiber* self = rt::current_fiber();
  std::vector<rt::WakeReason> reasons;
  auto body = [&] {
    reasons.push_back(wait_until(rt::kForever));
    rt::current_fiber()->interrupt_pending = false;
    reasons.push_back(wait_until(rt::deadline_after(kMillisecond), true));
  };
  rt::Fiber* fiber = start(body);
  rt::yield();
  rt::interrupt(fiber);
  rt::yield();
  rt::interrupt(fiber);
  while (reasons.size() < 2) rt::sleep_until(rt::deadline_after(kMillisecond));
  CHECK(reasons[0] == rt::WakeReason::kInterrupted);
  CHECK(reasons[1] == rt::WakeReason::kTimeout);
  rt::interrupt(self);
  CHECK(wait_until(rt::kForever) == rt::WakeReason::kInterrupted);
  self->interrupt_pending = false;
  rt::yield();
}

TEST_CASE("wakes from other OS threads, racing with the deadline, end each wait exactly once") {
  OnWorker here;
  constexpr int kRounds = 20'000;
  std::atomic<uint64_t> open{0};  // the word of the wait that is open
  std::atomic<bool> over{false};
  rt::Fiber* self = rt::current_fiber();
  std::atomic<int> claims{0};
  std::vector<std::thread> wakers;
  for (int t = 0; t < 2; ++t) {
    wakers.emplace_back([&] {
      while (!over) {
        if (const uint64_t word = open.exchange(0); word != 0 && rt::wake({self, word})) ++claims;
      }
    });
  }
  int woken = 0;
  int timeouts = 0;
  for (int i = 0; i < kRounds; ++i) {
    const rt::WaitToken token = rt::begin_wait(rt::WaitKind::kOther, nullptr);
    open = token.open_word;
    const rt::WakeReason reason = rt::park(rt::deadline_after(i % 3 == 0 ? 0 : 20'000));
    ++(reason == rt::WakeReason::kWoken ? woken : timeouts);
  }
  over = true;
  for (auto& waker : wakers) waker.join();
  CHECK(woken == claims);
  CHECK(woken + timeouts == kRounds);
}
