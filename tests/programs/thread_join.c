// Threads return their values to whoever joins them, in any order.
#include "check.h"

enum { kThreads = 50 };

static sem_t go;

static void* square(void* argument) {
  intptr_t n = (intptr_t)argument;
  return (void*)(n * n);
}

static void* exits_early(void* argument) {
  pthread_exit(argument);
  return NULL;
}

static void* waits(void* argument) {
  sem_take(&go);
  return argument;
}

static void* nests(void* argument) {
  intptr_t depth = (intptr_t)argument;
  if (depth == 0) return (void*)0;
  return (void*)((intptr_t)join_thread(start_thread(nests, (void*)(depth - 1))) + depth);
}

static void* joins_itself(void* argument) {
  (void)argument;
  return (void*)(intptr_t)pthread_join(pthread_self(), NULL);
}

static void* joins_other(void* argument) {
  void* result = NULL;
  CHECK_RC(pthread_join(*(pthread_t*)argument, &result));
  return result;
}

int main(void) {
  pthread_t threads[kThreads];
  CHECK_RC(sem_init(&go, 0, 0));

  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = start_thread(square, (void*)i);
  for (intptr_t i = kThreads - 1; i >= 0; --i) {
    void* result = NULL;
    CHECK_RC(pthread_join(threads[i], &result));
    CHECK_EQ(i * i, (intptr_t)result);
  }
  pass("values of many threads");

  CHECK_EQ(42, (intptr_t)join_thread(start_thread(exits_early, (void*)42)));
  pass("value of pthread_exit");

  CHECK_EQ(55, (intptr_t)join_thread(start_thread(nests, (void*)10)));
  pass("threads that create and join threads");

  pthread_t waiter = start_thread(waits, (void*)7);
  pthread_t joiner = start_thread(joins_other, &waiter);
  settle();
  CHECK_RC(sem_post(&go));
  CHECK_EQ(7, (intptr_t)join_thread(joiner));
  pass("join blocks until the end");

  waiter = start_thread(waits, (void*)8);
  void* result = NULL;
  CHECK_EQ(EBUSY, pthread_tryjoin_np(waiter, &result));
  int64_t begin = mono_ns();
  struct timespec deadline = after_ns(CLOCK_REALTIME, MS(30));
  CHECK_EQ(ETIMEDOUT, pthread_timedjoin_np(waiter, &result, &deadline));
  CHECK_BETWEEN(MS(29), mono_ns() - begin, MS(5000));
  CHECK_RC(sem_post(&go));
  CHECK_EQ(8, (intptr_t)join_thread(waiter));
  pass("tryjoin and timedjoin of a running thread");

  CHECK_EQ(EDEADLK, (intptr_t)join_thread(start_thread(joins_itself, NULL)));
  CHECK_EQ(EDEADLK, pthread_join(pthread_self(), NULL));
  pass("a thread cannot join itself");

  for (int i = 0; i < 2000; ++i) {
    void* came = NULL;
    CHECK_RC(pthread_join(start_thread(square, (void*)(intptr_t)i), &came));
    CHECK_EQ((long long)i * i, (intptr_t)came);
  }
  pass("2000 threads one after the other");
  return 0;
}
