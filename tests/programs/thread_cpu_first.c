// The first that a process asks of any thread's CPU time is that of another one, which computes and
// makes no system call: from then on none of it is missed.
#include "thread_clock.h"

static volatile int expired, stop;
static sem_t ready;

static void on_expiry(int number) {
  (void)number;
  expired = 1;
}

static void* computes(void* argument) {
  CHECK_OK(sem_post(&ready));
  while (!stop) continue;
  return argument;
}

int main(void) {
  CHECK_OK(sem_init(&ready, 0, 0));
  CHECK(signal(SIGUSR1, on_expiry) != SIG_ERR);
  pthread_t busy = start_thread(computes, NULL);
  sem_take(&ready);
  settle();

  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
  const clockid_t clock = clock_of(busy);
  timer_t timer;
  CHECK_OK(timer_create(clock, &event, &timer));
  const int64_t first = cpu_of(clock);
  const struct itimerspec wanted = {.it_value = from_ns(MS(30))};
  CHECK_OK(timer_settime(timer, 0, &wanted, NULL));
  const int64_t bound = mono_ns() + MS(kBoundMs);
  while (!expired && mono_ns() < bound) continue;
  CHECK_EQ(1, expired);
  // (The clock of another thread is not read to the nanosecond.)
  CHECK_BETWEEN(first + MS(30) - US(200), cpu_of(clock), first + MS(280));
  CHECK_OK(timer_delete(timer));
  stop = 1;
  join_thread(busy);
  pass("another thread's time from the first question on");
  return 0;
}
