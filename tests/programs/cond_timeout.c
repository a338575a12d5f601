// Waiting on a condition variable times out on either clock: not early, with ETIMEDOUT, and with
// the mutex locked again.
#include "check.h"

static pthread_mutex_t mutex;
static pthread_cond_t realtime, monotonic;
static int flag;

static void expect_timeout(pthread_cond_t* cond, clockid_t clock, int clockwait, int64_t ns) {
  CHECK_RC(pthread_mutex_lock(&mutex));
  struct timespec deadline = after_ns(clock, ns);
  int64_t begin = mono_ns();
  int rc;
  do {  // a spurious wake-up is allowed
    rc = clockwait ? pthread_cond_clockwait(cond, &mutex, clock, &deadline)
                   : pthread_cond_timedwait(cond, &mutex, &deadline);
  } while (rc == 0);
  CHECK_EQ(ETIMEDOUT, rc);
  CHECK(now_ns(clock) >= to_ns(deadline));
  CHECK(mono_ns() - begin < MS(5000));
  CHECK_EQ(EDEADLK, pthread_mutex_lock(&mutex));
  CHECK_RC(pthread_mutex_unlock(&mutex));
}

static void* waiter(void* argument) {
  pthread_cond_t* cond = argument;
  clockid_t clock = cond == &monotonic ? CLOCK_MONOTONIC : CLOCK_REALTIME;
  struct timespec deadline = after_ns(clock, MS(kBoundMs));
  CHECK_RC(pthread_mutex_lock(&mutex));
  while (!flag) CHECK_RC(pthread_cond_timedwait(cond, &mutex, &deadline));
  flag = 0;
  CHECK_RC(pthread_mutex_unlock(&mutex));
  return NULL;
}

static void* short_timeouts(void* argument) {
  for (int i = 0; i < 20; ++i) {
    expect_timeout(argument, argument == &monotonic ? CLOCK_MONOTONIC : CLOCK_REALTIME, 0,
                   US(100 * i));
  }
  return NULL;
}

int main(void) {
  be_threaded();
  pthread_mutexattr_t kind;
  CHECK_RC(pthread_mutexattr_init(&kind));
  CHECK_RC(pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK));
  CHECK_RC(pthread_mutex_init(&mutex, &kind));
  pthread_condattr_t attr;
  CHECK_RC(pthread_condattr_init(&attr));
  CHECK_RC(pthread_cond_init(&realtime, &attr));
  CHECK_RC(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
  CHECK_RC(pthread_cond_init(&monotonic, &attr));

  expect_timeout(&realtime, CLOCK_REALTIME, 0, MS(50));
  expect_timeout(&monotonic, CLOCK_MONOTONIC, 0, MS(50));
  pass("timedwait on both clocks");

  expect_timeout(&realtime, CLOCK_MONOTONIC, 1, MS(30));
  expect_timeout(&monotonic, CLOCK_REALTIME, 1, MS(30));
  pass("clockwait on either clock");

  expect_timeout(&realtime, CLOCK_REALTIME, 0, -MS(1000));
  expect_timeout(&monotonic, CLOCK_MONOTONIC, 0, 0);
  pass("a deadline in the past");

  struct timespec bad = {0, 1000000000};
  CHECK_RC(pthread_mutex_lock(&mutex));
  CHECK_EQ(EINVAL, pthread_cond_timedwait(&realtime, &mutex, &bad));
  CHECK_RC(pthread_mutex_unlock(&mutex));
  pass("an invalid deadline");

  pthread_cond_t* conds[] = {&realtime, &monotonic};
  for (int i = 0; i < 2; ++i) {
    pthread_t thread = start_thread(waiter, conds[i]);
    settle();
    CHECK_RC(pthread_mutex_lock(&mutex));
    flag = 1;
    CHECK_RC(pthread_cond_signal(conds[i]));
    CHECK_RC(pthread_mutex_unlock(&mutex));
    join_thread(thread);
  }
  pass("a signal before the deadline");

  pthread_t threads[10];
  for (int i = 0; i < 10; ++i) threads[i] = start_thread(short_timeouts, conds[i % 2]);
  for (int i = 0; i < 10; ++i) join_thread(threads[i]);
  pass("short timeouts in many threads");
  return 0;
}
