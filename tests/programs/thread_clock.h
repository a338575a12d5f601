// CPU clocks of single threads, for the test programs.
#ifndef TENDRIL_TESTS_PROGRAMS_THREAD_CLOCK_H_
#define TENDRIL_TESTS_PROGRAMS_THREAD_CLOCK_H_

#include "check.h"

static inline int64_t cpu_of(clockid_t clock) {
  struct timespec time;
  CHECK_OK(clock_gettime(clock, &time));
  return to_ns(time);
}

static inline clockid_t clock_of(pthread_t thread) {
  clockid_t clock;
  CHECK_RC(pthread_getcpuclockid(thread, &clock));
  return clock;
}

#endif  // TENDRIL_TESTS_PROGRAMS_THREAD_CLOCK_H_
