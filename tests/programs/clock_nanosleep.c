// clock_nanosleep: absolute and relative times on several clocks, and what it refuses.
#include "check.h"

static void* body(void* argument) {
  clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};
  for (int i = 0; i < 3; ++i) {
    struct timespec t = after_ns(clocks[i], MS(20));
    CHECK_RC(clock_nanosleep(clocks[i], TIMER_ABSTIME, &t, NULL));
    CHECK_BETWEEN(to_ns(t), now_ns(clocks[i]), to_ns(t) + MS(5000));
    t = after_ns(clocks[i], -MS(20));
    int64_t begin = mono_ns();
    CHECK_RC(clock_nanosleep(clocks[i], TIMER_ABSTIME, &t, NULL));
    CHECK(mono_ns() - begin < MS(5000));
    t = from_ns(US(700));
    begin = mono_ns();
    CHECK_RC(clock_nanosleep(clocks[i], 0, &t, NULL));
    CHECK_BETWEEN(US(700), mono_ns() - begin, MS(5000));
  }
  return argument;
}

static void* refused(void* argument) {
  struct timespec too_large = {0, 1000000000}, negative = {0, -1}, before = {-1, 0}, t = {0, 1};
  CHECK_EQ(EINVAL, clock_nanosleep(CLOCK_MONOTONIC, 0, &too_large, NULL));
  CHECK_EQ(EINVAL, clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &negative, NULL));
  CHECK_EQ(EINVAL, clock_nanosleep(CLOCK_MONOTONIC, 0, &before, NULL));
  CHECK_EQ(EINVAL, clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL));
  CHECK_EQ(EINVAL, clock_nanosleep(12345, 0, &t, NULL));
  CHECK_ERRNO(EINVAL, nanosleep(&too_large, NULL));
  CHECK_ERRNO(EINVAL, nanosleep(&before, NULL));
  CHECK_ERRNO(EFAULT, syscall(SYS_nanosleep, 8L, NULL));
  CHECK_ERRNO(EFAULT, syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0L, 8L, NULL));
  return argument;
}

int main(void) {
  pthread_t threads[5];
  for (int i = 0; i < 5; ++i) threads[i] = start_thread(body, NULL);
  body(NULL);
  for (int i = 0; i < 5; ++i) join_thread(threads[i]);
  pass("absolute and relative sleeps");
  join_thread(start_thread(refused, NULL));
  refused(NULL);
  pass("refused with EINVAL and EFAULT");
  return 0;
}
