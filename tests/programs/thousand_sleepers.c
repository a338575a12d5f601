// A thousand threads that sleep at the same time take about as long as one; and they wake in the
// order of their deadlines.
#include "check.h"

enum { kThreads = 1000, kSleepMs = 400 };

static pthread_barrier_t barrier;
static int order[6], woken;

static void* sleeps(void* argument) {
  struct timespec t = from_ns(MS(kSleepMs));
  pthread_barrier_wait(&barrier);
  int64_t begin = mono_ns();
  CHECK_OK(nanosleep(&t, NULL));
  CHECK(mono_ns() - begin >= MS(kSleepMs));
  return argument;
}

static void* sleeps_differently(void* argument) {
  int rank = (int)(intptr_t)argument;
  pthread_barrier_wait(&barrier);
  // Far enough apart that a busy machine does not reorder them.
  struct timespec t = from_ns(MS(100 + 250 * rank));
  CHECK_OK(nanosleep(&t, NULL));
  order[__atomic_fetch_add(&woken, 1, __ATOMIC_SEQ_CST)] = rank;
  return argument;
}

int main(void) {
  static pthread_t threads[kThreads];
  pthread_attr_t attr;
  CHECK_RC(pthread_attr_init(&attr));
  CHECK_RC(pthread_attr_setstacksize(&attr, 64 * 1024));
  CHECK_RC(pthread_barrier_init(&barrier, NULL, kThreads));
  int64_t begin = mono_ns();
  for (int i = 0; i < kThreads; ++i) CHECK_RC(pthread_create(&threads[i], &attr, sleeps, NULL));
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_BETWEEN(MS(kSleepMs), mono_ns() - begin, MS(kSleepMs * 20));
  pass("a thousand at once");

  CHECK_RC(pthread_barrier_init(&barrier, NULL, 6));
  for (intptr_t i = 5; i >= 0; --i) threads[i] = start_thread(sleeps_differently, (void*)i);
  for (int i = 0; i < 6; ++i) join_thread(threads[i]);
  for (int i = 0; i < 6; ++i) CHECK_EQ(i, order[i]);
  pass("in the order of their deadlines");
  return 0;
}
