// Mutexes with priority inheritance exclude, time out, check errors and work with condition
// variables like others.
#include "check.h"

enum { kThreads = 10, kRounds = 1000 };

static pthread_mutex_t mutex;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static long counter;
static int turn;

static void make(int kind, int robust) {
  pthread_mutexattr_t attr;
  CHECK_RC(pthread_mutexattr_init(&attr));
  CHECK_RC(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT));
  CHECK_RC(pthread_mutexattr_settype(&attr, kind));
  CHECK_RC(pthread_mutexattr_setrobust(&attr, robust));
  CHECK_RC(pthread_mutex_init(&mutex, &attr));
}

static void* counts(void* argument) {
  for (int i = 0; i < kRounds; ++i) {
    CHECK_RC(pthread_mutex_lock(&mutex));
    long seen = counter;
    if (i % 20 == 0) sched_yield();
    counter = seen + 1;
    CHECK_RC(pthread_mutex_unlock(&mutex));
  }
  return argument;
}

static void* takes_turns(void* argument) {
  int me = (int)(intptr_t)argument;
  for (int i = 0; i < 100; ++i) {
    CHECK_RC(pthread_mutex_lock(&mutex));
    while (turn % 3 != me) CHECK_RC(pthread_cond_wait(&cond, &mutex));
    ++turn;
    CHECK_RC(pthread_cond_broadcast(&cond));
    CHECK_RC(pthread_mutex_unlock(&mutex));
  }
  return argument;
}

static void* is_kept_out(void* argument) {
  CHECK_EQ(EBUSY, pthread_mutex_trylock(&mutex));
  struct timespec deadline = after_ns(CLOCK_REALTIME, MS(20));
  CHECK_EQ(ETIMEDOUT, pthread_mutex_timedlock(&mutex, &deadline));
  CHECK(now_ns(CLOCK_REALTIME) >= to_ns(deadline));
  deadline = after_ns(CLOCK_MONOTONIC, MS(20));
  CHECK_EQ(ETIMEDOUT, pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &deadline));
  CHECK(mono_ns() >= to_ns(deadline));
  CHECK_EQ(EPERM, pthread_mutex_unlock(&mutex));
  return argument;
}

static void* dies_as_owner(void* argument) {
  CHECK_RC(pthread_mutex_lock(&mutex));
  settle();
  return argument;
}

static void run(void* (*body)(void*), int n) {
  pthread_t threads[kThreads];
  for (intptr_t i = 0; i < n; ++i) threads[i] = start_thread(body, (void*)i);
  for (int i = 0; i < n; ++i) join_thread(threads[i]);
}

int main(void) {
  be_threaded();
  make(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_STALLED);
  run(counts, kThreads);
  CHECK_EQ(kThreads * kRounds, counter);
  pass("exclusion");

  run(takes_turns, 3);
  CHECK_EQ(300, turn);
  pass("with a condition variable");

  make(PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED);
  CHECK_RC(pthread_mutex_lock(&mutex));
  CHECK_EQ(EDEADLK, pthread_mutex_lock(&mutex));
  run(is_kept_out, 3);
  CHECK_RC(pthread_mutex_unlock(&mutex));
  CHECK_EQ(EPERM, pthread_mutex_unlock(&mutex));
  pass("errors and timeouts");

  make(PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED);
  CHECK_RC(pthread_mutex_lock(&mutex));
  CHECK_RC(pthread_mutex_lock(&mutex));
  run(is_kept_out, 2);
  CHECK_RC(pthread_mutex_unlock(&mutex));
  run(is_kept_out, 1);
  CHECK_RC(pthread_mutex_unlock(&mutex));
  run(counts, kThreads);
  pass("recursive");

  make(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST);
  pthread_t owner = start_thread(dies_as_owner, NULL);
  join_thread(owner);
  CHECK_EQ(EOWNERDEAD, pthread_mutex_lock(&mutex));
  CHECK_RC(pthread_mutex_consistent(&mutex));
  CHECK_RC(pthread_mutex_unlock(&mutex));
  run(counts, kThreads);
  pass("robust as well");
  return 0;
}
