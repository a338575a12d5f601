// pthread_mutex_timedlock and pthread_mutex_clocklock on both clocks.
#include "check.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int timed_lock(clockid_t clock, const struct timespec* deadline, int old_form) {
  return old_form ? pthread_mutex_timedlock(&mutex, deadline)
                  : pthread_mutex_clocklock(&mutex, clock, deadline);
}

static void* times_out(void* argument) {
  int which = (int)(intptr_t)argument % 3;
  clockid_t clock = which == 2 ? CLOCK_MONOTONIC : CLOCK_REALTIME;
  for (int ms = 0; ms < 40; ms += 13) {
    struct timespec deadline = after_ns(clock, MS(ms));
    CHECK_EQ(ETIMEDOUT, timed_lock(clock, &deadline, which == 0));
    CHECK_BETWEEN(to_ns(deadline), now_ns(clock), to_ns(deadline) + MS(5000));
  }
  struct timespec past = {1, 0}, bad = {1, 1000000000};
  CHECK_EQ(ETIMEDOUT, timed_lock(clock, &past, which == 0));
  CHECK_EQ(EINVAL, timed_lock(clock, &bad, which == 0));
  return argument;
}

static void* succeeds(void* argument) {
  int which = (int)(intptr_t)argument % 3;
  clockid_t clock = which == 2 ? CLOCK_MONOTONIC : CLOCK_REALTIME;
  struct timespec deadline = after_ns(clock, MS(kBoundMs));
  CHECK_RC(timed_lock(clock, &deadline, which == 0));
  sched_yield();
  CHECK_RC(pthread_mutex_unlock(&mutex));
  return argument;
}

int main(void) {
  pthread_t threads[9];
  CHECK_RC(pthread_mutex_lock(&mutex));
  for (intptr_t i = 0; i < 9; ++i) threads[i] = start_thread(times_out, (void*)i);
  for (int i = 0; i < 9; ++i) join_thread(threads[i]);
  pass("a held mutex: not early, ETIMEDOUT");

  for (intptr_t i = 0; i < 9; ++i) threads[i] = start_thread(succeeds, (void*)i);
  settle();
  CHECK_RC(pthread_mutex_unlock(&mutex));
  for (int i = 0; i < 9; ++i) join_thread(threads[i]);
  pass("released before the deadline");

  struct timespec past = {1, 0};
  CHECK_RC(pthread_mutex_timedlock(&mutex, &past));
  CHECK_RC(pthread_mutex_unlock(&mutex));
  CHECK_RC(pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &past));
  CHECK_RC(pthread_mutex_unlock(&mutex));
  CHECK_EQ(EINVAL, pthread_mutex_clocklock(&mutex, CLOCK_PROCESS_CPUTIME_ID, &past));
  pass("a free mutex is taken whatever the deadline");
  return 0;
}
