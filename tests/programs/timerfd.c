// timerfd: a blocked read returns the number of expirations, not early.
#include <sys/timerfd.h>

#include "check.h"

static int periodic;

static void set(int fd, int flags, int64_t first, int64_t interval) {
  struct itimerspec t = {from_ns(interval), from_ns(first)};
  CHECK_OK(timerfd_settime(fd, flags, &t, NULL));
}

static void* waits_once(void* argument) {
  int64_t ns = MS((intptr_t)argument);
  int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  CHECK_OK(fd);
  uint64_t expirations = 0;
  int64_t begin = mono_ns();
  set(fd, 0, ns, 0);
  CHECK_EQ(8, read(fd, &expirations, 8));
  CHECK_EQ(1, expirations);
  CHECK_BETWEEN(ns, mono_ns() - begin, MS(10000));

  begin = mono_ns();
  set(fd, TFD_TIMER_ABSTIME, begin + ns, 0);
  CHECK_EQ(1, poll(&(struct pollfd){fd, POLLIN, 0}, 1, kBoundMs));
  CHECK(mono_ns() >= begin + ns);
  CHECK_EQ(8, read(fd, &expirations, 8));
  CHECK_EQ(1, expirations);

  struct itimerspec now;
  CHECK_OK(timerfd_gettime(fd, &now));
  CHECK_EQ(0, to_ns(now.it_value));
  CHECK_ERRNO(EINVAL, read(fd, &expirations, 4));
  CHECK_OK(close(fd));
  return NULL;
}

static void* reads_periodic(void* argument) {
  uint64_t total = 0, expirations;
  while (total < 20) {
    CHECK_EQ(8, read(periodic, &expirations, 8));
    CHECK(expirations > 0);
    total += expirations;
  }
  return argument;
}

int main(void) {
  pthread_t threads[10];
  for (intptr_t i = 0; i < 10; ++i) threads[i] = start_thread(waits_once, (void*)(1 + i * 7));
  for (int i = 0; i < 10; ++i) join_thread(threads[i]);
  pass("one expiration");

  periodic = timerfd_create(CLOCK_MONOTONIC, 0);
  CHECK_OK(periodic);
  int64_t begin = mono_ns();
  set(periodic, 0, MS(2), MS(2));
  join_thread(start_thread(reads_periodic, NULL));
  CHECK_BETWEEN(MS(40), mono_ns() - begin, MS(10000));
  pass("periodic expirations");

  set(periodic, 0, 0, 0);
  CHECK_EQ(0, poll(&(struct pollfd){periodic, POLLIN, 0}, 1, 20));
  pthread_t reader = start_thread(reads_periodic, NULL);
  settle();
  CHECK_EQ(EBUSY, pthread_tryjoin_np(reader, NULL));
  set(periodic, 0, 1, MS(1));
  join_thread(reader);
  pass("disarmed and armed again while a thread waits");
  return 0;
}
