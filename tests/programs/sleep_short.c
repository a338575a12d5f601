// Short sleeps are as long as asked, and not rounded up to milliseconds.
#include "check.h"

enum { kSleeps = 200 };

static void* sleeps(void* argument) {
  int64_t shortest = INT64_MAX;
  for (int i = 0; i < kSleeps; ++i) {
    int64_t begin = mono_ns();
    CHECK_OK(usleep(50));
    int64_t took = mono_ns() - begin;
    CHECK(took >= US(50));
    if (took < shortest) shortest = took;
  }
  // A busy machine delays many of them, but not each of 200.
  CHECK(shortest < US(900));
  return argument;
}

int main(void) {
  be_threaded();
  sleeps(NULL);
  pass("usleep(50) in the main thread");

  join_thread(start_thread(sleeps, NULL));
  pass("usleep(50) in another thread");

  pthread_t threads[8];
  for (int i = 0; i < 8; ++i) threads[i] = start_thread(sleeps, NULL);
  for (int i = 0; i < 8; ++i) join_thread(threads[i]);
  pass("usleep(50) in eight threads");

  for (long us = 1; us < 5000; us = us * 3 + 1) {
    struct timespec t = from_ns(US(us));
    int64_t begin = mono_ns();
    CHECK_OK(nanosleep(&t, NULL));
    CHECK_BETWEEN(US(us), mono_ns() - begin, MS(3000));
  }
  struct timespec zero = {0, 0};
  CHECK_OK(nanosleep(&zero, NULL));
  CHECK_OK(usleep(0));
  pass("nanosleep is never early");

  int64_t begin = mono_ns();
  CHECK_EQ(0, sleep(1));
  CHECK_BETWEEN(MS(1000), mono_ns() - begin, MS(20000));
  CHECK_EQ(0, sleep(0));
  pass("sleep");
  return 0;
}
