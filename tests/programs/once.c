// pthread_once runs its function exactly once; the others wait until it has returned, and one of
// them takes over when it is cancelled.
#include "check.h"

enum { kThreads = 30 };

static pthread_once_t blocking = PTHREAD_ONCE_INIT, cancelled = PTHREAD_ONCE_INIT;
static int calls, finished;
static sem_t entered;

static void slow(void) {
  ++calls;
  settle();
  ++finished;
}

static void* uses_slow(void* argument) {
  CHECK_RC(pthread_once(&blocking, slow));
  CHECK_EQ(1, calls);
  CHECK_EQ(1, finished);
  return argument;
}

static void never_the_first_time(void) {
  if (++calls == 1) {
    CHECK_OK(sem_post(&entered));
    for (;;) sleep(1);
  }
  ++finished;
}

static void* uses_cancelled(void* argument) {
  CHECK_RC(pthread_once(&cancelled, never_the_first_time));
  CHECK_EQ(2, calls);
  CHECK_EQ(1, finished);
  return argument;
}

int main(void) {
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(uses_slow, NULL);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  pass("once, and everyone sees the result");

  calls = finished = 0;
  CHECK_OK(sem_init(&entered, 0, 0));
  pthread_t first = start_thread(uses_cancelled, NULL);
  sem_take(&entered);
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(uses_cancelled, NULL);
  settle();
  CHECK_RC(pthread_cancel(first));
  CHECK(join_thread(first) == PTHREAD_CANCELED);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  pass("again when the first was cancelled");
  return 0;
}
