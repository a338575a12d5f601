// CPU time is a thread's own: who sleeps uses none, who computes does, and nobody's goes backwards.
#include <sys/resource.h>

#include "check.h"

enum { kThreads = 6 };

static int64_t cpu_of(clockid_t clock) {
  struct timespec time;
  CHECK_OK(clock_gettime(clock, &time));
  return to_ns(time);
}

static int64_t own_cpu(void) { return cpu_of(CLOCK_THREAD_CPUTIME_ID); }

static clockid_t clock_of(pthread_t thread) {
  clockid_t clock;
  CHECK_RC(pthread_getcpuclockid(thread, &clock));
  return clock;
}

static void compute(int64_t cpu_ns) {
  int64_t last = own_cpu();
  const int64_t end = last + cpu_ns;
  while (last < end) {
    const int64_t now = own_cpu();
    CHECK(now >= last);
    last = now;
  }
}

static void* computes(void* argument) {
  const int64_t before = own_cpu();
  CHECK(before < MS(100));  // none of the others'
  struct rusage usage;
  CHECK_OK(getrusage(RUSAGE_THREAD, &usage));
  for (int round = 0; round < 5; ++round) {
    compute(MS(10));
    sched_yield();
    usleep(1000);  // and maybe goes on elsewhere
    const struct rusage last = usage;
    CHECK_OK(getrusage(RUSAGE_THREAD, &usage));
    CHECK(usage.ru_minflt >= last.ru_minflt);
    CHECK(usage.ru_nvcsw >= last.ru_nvcsw);
    CHECK(usage.ru_nivcsw >= last.ru_nivcsw);
  }
  CHECK(own_cpu() - before >= MS(50));
  const int64_t user = usage.ru_utime.tv_sec * 1000000LL + usage.ru_utime.tv_usec;
  const int64_t system = usage.ru_stime.tv_sec * 1000000LL + usage.ru_stime.tv_usec;
  CHECK(user + system >= 40000);  // a native kernel counts ticks
  return argument;
}

static sem_t end;
static volatile int stop;

static void* computes_until_told(void* argument) {
  while (!stop) {
  }
  return argument;
}

static void* sleeps(void* argument) {
  sem_take(&end);
  CHECK(own_cpu() < MS(40));
  return argument;
}

int main(void) {
  CHECK_OK(sem_init(&end, 0, 0));
  const int64_t main_before = own_cpu();
  pthread_t sleeper = start_thread(sleeps, NULL);
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(computes, NULL);

  // Another thread's clock goes on while that thread computes, and not while it sleeps.
  pthread_t busy_thread = start_thread(computes_until_told, NULL);
  const clockid_t busy = clock_of(busy_thread);
  const int64_t deadline = mono_ns() + MS(kBoundMs);
  int64_t seen = 0;
  while (seen < MS(30)) {
    const int64_t now = cpu_of(busy);
    CHECK(now >= seen);
    seen = now;
    CHECK(mono_ns() < deadline);
    settle();
  }
  CHECK(cpu_of(clock_of(sleeper)) < MS(40));
  struct timespec resolution;
  CHECK_OK(clock_getres(busy, &resolution));
  CHECK_EQ(0, resolution.tv_sec);
  CHECK(resolution.tv_nsec > 0);
  CHECK_ERRNO(EPERM, clock_settime(busy, &resolution));
  CHECK_ERRNO(EFAULT, (int)syscall(SYS_clock_gettime, busy, (void*)8));

  stop = 1;
  join_thread(busy_thread);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_ERRNO(EINVAL, clock_gettime(busy, &resolution));  // it has ended
  CHECK_OK(sem_post(&end));
  join_thread(sleeper);
  const int64_t main_after = own_cpu();
  CHECK(main_after >= main_before);
  CHECK(main_after - main_before < MS(300));  // of the others' 300 and more, most is not its own
  puts("CPU time");
  return 0;
}
