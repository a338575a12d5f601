// The C++17 and C++20 primitives: jthread, stop_token, latch, barrier, semaphores, atomic::wait,
// shared_mutex, call_once. libstdc++ issues futex system calls of its own for several of them.
#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <latch>
#include <mutex>
#include <semaphore>
#include <shared_mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "check.h"

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

void stop_tokens() {
  std::mutex mutex;
  std::condition_variable_any cond;
  std::atomic<int> stopped = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 20; ++i) {
      threads.emplace_back([&](std::stop_token token) {
        std::unique_lock lock(mutex);
        CHECK(!cond.wait(lock, token, [] { return false; }));
        ++stopped;
      });
    }
    settle();
  }  // each destructor asks its thread to stop, and joins it
  CHECK_EQ(20, stopped);
}

void latches_and_barriers() {
  constexpr int kThreads = 16, kRounds = 50;
  std::latch begin(kThreads), end(kThreads);
  int phases = 0;
  std::atomic<int> arrived = 0;
  std::barrier barrier(kThreads, [&]() noexcept {
    CHECK_EQ(0, arrived % kThreads);
    ++phases;
  });
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      begin.arrive_and_wait();
      for (int round = 0; round < kRounds; ++round) {
        ++arrived;
        barrier.arrive_and_wait();
        CHECK(phases > round);
      }
      end.count_down();
    });
  }
  end.wait();
  CHECK_EQ(kRounds, phases);
}

void semaphores() {
  std::counting_semaphore<10> slots(3);
  std::binary_semaphore gate(0);
  std::atomic<int> inside = 0, most = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 20; ++i) {
    threads.emplace_back([&] {
      slots.acquire();
      int now = ++inside;
      for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
      }
      std::this_thread::sleep_for(1ms);
      --inside;
      slots.release();
    });
  }
  threads.clear();
  CHECK_BETWEEN(1, most.load(), 3);
  auto begin = Clock::now();
  CHECK(!gate.try_acquire_for(20ms));
  CHECK(Clock::now() - begin >= 20ms);
  std::jthread releaser([&] {
    settle();
    gate.release();
  });
  CHECK(gate.try_acquire_for(30s));
}

void atomic_wait() {
  std::atomic<int> turn = 0;
  std::atomic<long> wide = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 10; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 20; ++round) {
        int mine = round * 10 + i;
        for (int seen = turn; seen != mine; seen = turn) turn.wait(seen);
        turn = mine + 1;
        turn.notify_all();
      }
      wide.fetch_add(1);
      wide.notify_all();
    });
  }
  for (long seen = wide; seen != 10; seen = wide) wide.wait(seen);
  CHECK_EQ(200, turn);
}

void shared_mutexes() {
  std::shared_timed_mutex mutex;
  std::latch all_reading(10);
  long a = 0, b = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 10; ++i) {
    threads.emplace_back([&] {
      {
        std::shared_lock lock(mutex);
        all_reading.arrive_and_wait();
        CHECK(!mutex.try_lock());
      }
      for (int k = 0; k < 100; ++k) {
        {
          std::unique_lock lock(mutex);
          ++a;
          std::this_thread::yield();
          ++b;
        }
        std::shared_lock lock(mutex);
        CHECK_EQ(a, b);
      }
    });
  }
  threads.clear();
  CHECK_EQ(1000, a);
  std::unique_lock lock(mutex);
  std::jthread([&] { CHECK(!mutex.try_lock_shared_for(10ms)); }).join();
}

void call_once() {
  std::once_flag flag;
  std::atomic<int> attempts = 0, done = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 20; ++i) {
    threads.emplace_back([&] {
      std::call_once(flag, [&] {
        ++attempts;
        std::this_thread::sleep_for(2ms);
        ++done;
      });
      CHECK_EQ(1, done);
    });
  }
  threads.clear();
  CHECK_EQ(1, attempts);
}

}  // namespace

int main() {
  stop_tokens();
  pass("jthread and stop_token");
  latches_and_barriers();
  pass("latch and barrier");
  semaphores();
  pass("semaphores");
  atomic_wait();
  pass("atomic::wait");
  shared_mutexes();
  pass("shared_timed_mutex");
  call_once();
  pass("call_once");
  return 0;
}
