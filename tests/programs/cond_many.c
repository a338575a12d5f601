// Many waiters on one condition variable: a signal wakes one that makes progress, a broadcast wakes
// all, and none is lost.
#include "check.h"

enum { kThreads = 200 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER, reply = PTHREAD_COND_INITIALIZER;
static int waiting, tickets, served, generation;

static void* takes_ticket(void* argument) {
  CHECK_RC(pthread_mutex_lock(&mutex));
  ++waiting;
  CHECK_RC(pthread_cond_signal(&reply));
  while (tickets == 0) CHECK_RC(pthread_cond_wait(&cond, &mutex));
  --tickets;
  ++served;
  CHECK_RC(pthread_cond_signal(&reply));
  CHECK_RC(pthread_mutex_unlock(&mutex));
  return argument;
}

static void* waits_for_generation(void* argument) {
  CHECK_RC(pthread_mutex_lock(&mutex));
  for (int next = 1; next <= 20; ++next) {
    ++waiting;
    CHECK_RC(pthread_cond_signal(&reply));
    while (generation < next) CHECK_RC(pthread_cond_wait(&cond, &mutex));
    CHECK_EQ(next, generation);
  }
  CHECK_RC(pthread_mutex_unlock(&mutex));
  return argument;
}

// With the mutex held.
static void wait_until(int* value, int expected) {
  struct timespec deadline = after_ns(CLOCK_REALTIME, MS(kBoundMs));
  while (*value != expected) CHECK_RC(pthread_cond_timedwait(&reply, &mutex, &deadline));
}

int main(void) {
  static pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(takes_ticket, NULL);
  CHECK_RC(pthread_mutex_lock(&mutex));
  wait_until(&waiting, kThreads);
  for (int i = 1; i <= kThreads / 2; ++i) {
    ++tickets;
    CHECK_RC(pthread_cond_signal(&cond));
    wait_until(&served, i);
    CHECK_EQ(0, tickets);
  }
  pass("one for each signal");
  tickets = kThreads / 4;
  for (int i = 0; i < kThreads / 4; ++i) CHECK_RC(pthread_cond_signal(&cond));
  wait_until(&served, kThreads * 3 / 4);
  pass("several signals at once");
  tickets = kThreads / 4;
  CHECK_RC(pthread_cond_broadcast(&cond));
  CHECK_RC(pthread_mutex_unlock(&mutex));
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_EQ(kThreads, served);
  CHECK_EQ(0, tickets);
  pass("a broadcast wakes the rest");

  waiting = 0;
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(waits_for_generation, NULL);
  CHECK_RC(pthread_mutex_lock(&mutex));
  for (int next = 1; next <= 20; ++next) {
    wait_until(&waiting, kThreads);
    waiting = 0;
    generation = next;
    CHECK_RC(pthread_cond_broadcast(&cond));
  }
  CHECK_RC(pthread_mutex_unlock(&mutex));
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_RC(pthread_cond_destroy(&cond));
  pass("twenty broadcasts to 200 waiters");
  return 0;
}
