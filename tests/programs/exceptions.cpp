// Exceptions belong to their thread: caught, uncaught and rethrown ones survive any number of
// switches inside catch blocks and destructors.
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "check.h"

namespace {

enum { kThreads = 100, kRounds = 20 };

pthread_barrier_t barrier;

struct YieldingDestructor {
  int expected;
  ~YieldingDestructor() {
    CHECK_EQ(expected, std::uncaught_exceptions());
    sched_yield();
    try {
      throw 1;
    } catch (int) {
      sched_yield();
      CHECK_EQ(expected, std::uncaught_exceptions());
    }
    usleep(10);
    CHECK_EQ(expected, std::uncaught_exceptions());
  }
};

void throw_through_frames(const std::string& what, int depth) {
  YieldingDestructor object{1};
  if (depth == 0) throw std::runtime_error(what);
  throw_through_frames(what, depth - 1);
}

void nested(const std::string& what) {
  try {
    throw_through_frames(what, 3);
  } catch (const std::runtime_error& outer) {
    pthread_barrier_wait(&barrier);  // everyone is inside a catch block now
    CHECK_STR(what.c_str(), outer.what());
    try {
      throw std::logic_error(what + " inner");
    } catch (const std::logic_error& inner) {
      sched_yield();
      CHECK_STR((what + " inner").c_str(), inner.what());
    }
    CHECK_EQ(0, std::uncaught_exceptions());
    CHECK(std::current_exception() != nullptr);
    pthread_barrier_wait(&barrier);
    CHECK_STR(what.c_str(), outer.what());
    throw;
  }
}

void* body(void* argument) {
  auto id = reinterpret_cast<intptr_t>(argument);
  CHECK(std::current_exception() == nullptr);
  for (int round = 0; round < kRounds; ++round) {
    std::string what = "thread " + std::to_string(id) + " round " + std::to_string(round);
    try {
      nested(what);
      FAIL("nothing was rethrown");
    } catch (const std::exception& error) {
      sched_yield();
      CHECK_STR(what.c_str(), error.what());
    }
    CHECK(std::current_exception() == nullptr);
    CHECK_EQ(0, std::uncaught_exceptions());
  }
  return nullptr;
}

std::vector<std::exception_ptr> handed_over(kThreads);

void* throws_for_another(void* argument) {
  auto id = reinterpret_cast<intptr_t>(argument);
  try {
    throw std::out_of_range(std::to_string(id));
  } catch (...) {
    usleep(100);
    handed_over[static_cast<size_t>(id)] = std::current_exception();
  }
  return nullptr;
}

}  // namespace

int main() {
  CHECK_RC(pthread_barrier_init(&barrier, nullptr, kThreads));
  pthread_t threads[kThreads];
  for (intptr_t i = 0; i < kThreads; ++i) {
    threads[i] = start_thread(body, reinterpret_cast<void*>(i));
  }
  for (pthread_t thread : threads) join_thread(thread);
  pass("nested, rethrown and uncaught exceptions of 100 threads");

  for (intptr_t i = 0; i < kThreads; ++i) {
    threads[i] = start_thread(throws_for_another, reinterpret_cast<void*>(i));
  }
  for (int i = 0; i < kThreads; ++i) {
    join_thread(threads[i]);
    try {
      std::rethrow_exception(handed_over[static_cast<size_t>(i)]);
    } catch (const std::out_of_range& error) {
      CHECK_STR(std::to_string(i).c_str(), error.what());
    }
  }
  pass("exceptions handed to another thread");
  return 0;
}
