// Cancellation and pthread_exit unwind a C++ thread: destructors run, and catch (...) sees it pass.
#include <cxxabi.h>

#include <string>

#include "check.h"

namespace {

int ends[2];
sem_t entered;
thread_local std::string* trail = nullptr;

struct Mark {
  explicit Mark(char name) : name(name) {}
  ~Mark() {
    usleep(100);  // blocks while the thread is being unwound
    trail->push_back(name);
  }
  char name;
};

void blocks(int depth) {
  Mark mark(static_cast<char>('a' + depth));
  if (depth > 0) {
    blocks(depth - 1);
  } else {
    CHECK_OK(sem_post(&entered));
    char c;
    read(ends[0], &c, 1);
    trail->push_back('r');  // not reached
  }
}

void* body(void* argument) {
  trail = static_cast<std::string*>(argument);
  Mark outer('z');
  try {
    blocks(3);
  } catch (abi::__forced_unwind&) {
    trail->push_back('!');
    throw;
  } catch (...) {
    trail->push_back('?');
  }
  return nullptr;
}

void* exits(void* argument) {
  trail = static_cast<std::string*>(argument);
  Mark outer('y');
  try {
    Mark inner('x');
    pthread_exit(argument);
  } catch (...) {
    trail->push_back('!');
    throw;
  }
}

void* throws_after(void* argument) {
  trail = static_cast<std::string*>(argument);
  try {
    Mark mark('m');
    throw 5;
  } catch (int n) {
    trail->push_back(static_cast<char>('0' + n));
  }
  return argument;
}

}  // namespace

int main() {
  enum { kThreads = 20 };
  CHECK_OK(pipe(ends));
  CHECK_OK(sem_init(&entered, 0, 0));
  std::string trails[kThreads];
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(body, &trails[i]);
  for (int i = 0; i < kThreads; ++i) sem_take(&entered);
  settle();
  for (pthread_t thread : threads) CHECK_RC(pthread_cancel(thread));
  for (int i = 0; i < kThreads; ++i) {
    CHECK(join_thread(threads[i]) == PTHREAD_CANCELED);
    CHECK_STR("abcd!z", trails[i].c_str());
  }
  pass("cancellation runs destructors");

  for (int i = 0; i < kThreads; ++i) {
    trails[i].clear();
    threads[i] = start_thread(exits, &trails[i]);
  }
  for (int i = 0; i < kThreads; ++i) {
    CHECK(join_thread(threads[i]) == &trails[i]);
    CHECK_STR("x!y", trails[i].c_str());
  }
  pass("pthread_exit runs destructors");

  trails[0].clear();
  join_thread(start_thread(throws_after, &trails[0]));
  CHECK_STR("m5", trails[0].c_str());
  pass("exceptions work afterwards");
  return 0;
}
