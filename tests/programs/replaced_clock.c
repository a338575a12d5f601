// The program has a clock_gettime of its own, as libraries that fake the time and sanitizers do: a
// day ahead, and with thread-locals. What waits for the kernel's time waits as long as without it.
#include "check.h"

static __thread unsigned calls;

int clock_gettime(clockid_t clock, struct timespec* now) {
  ++calls;
  const int result = (int)syscall(SYS_clock_gettime, clock, now);
  now->tv_sec += 24 * 3600;
  return result;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

static int64_t kernel_ns(clockid_t clock) {
  struct timespec now;
  CHECK_OK(syscall(SYS_clock_gettime, clock, &now));
  return to_ns(now);
}

static void* waits(void* argument) {
  const int64_t before = kernel_ns(CLOCK_MONOTONIC);
  struct timespec limit = from_ns(kernel_ns(CLOCK_REALTIME) + MS(50));
  CHECK_RC(pthread_mutex_lock(&mutex));
  CHECK_EQ(ETIMEDOUT, pthread_cond_timedwait(&condition, &mutex, &limit));
  CHECK_RC(pthread_mutex_unlock(&mutex));
  CHECK_BETWEEN(MS(50), kernel_ns(CLOCK_MONOTONIC) - before, MS(20000));
  struct timespec nap = {0, 20000000};
  CHECK_OK(nanosleep(&nap, NULL));
  CHECK_BETWEEN(MS(70), kernel_ns(CLOCK_MONOTONIC) - before, MS(20000));
  struct timespec faked;
  CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &faked));
  CHECK(to_ns(faked) - kernel_ns(CLOCK_MONOTONIC) > MS(23 * 3600 * 1000LL));
  CHECK(calls >= 1);
  return argument;
}

int main(void) {
  enum { kThreads = 8 };
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) CHECK_RC(pthread_create(&threads[i], NULL, waits, NULL));
  for (int i = 0; i < kThreads; ++i) CHECK_RC(pthread_join(threads[i], NULL));
  pass("deadlines of the kernel's clock");
  return 0;
}
