// clock_nanosleep on the CPU clock of another thread: until that one has computed for so long.
#include "thread_clock.h"

static volatile int stop;
static sem_t is_there, may_end;
static volatile sig_atomic_t handled;

static void count_it(int signal) {
  (void)signal;
  ++handled;
}

static void* computes(void* argument) {
  while (!stop) {
  }
  return argument;
}

static void* waits(void* argument) {
  CHECK_OK(sem_post(&is_there));
  sem_take(&may_end);
  return argument;
}

static void of_who_computes(void) {
  stop = 0;
  pthread_t thread = start_thread(computes, NULL);
  clockid_t clock = clock_of(thread);
  int64_t before = cpu_of(clock);
  struct timespec time = from_ns(MS(25));
  CHECK_RC(clock_nanosleep(clock, 0, &time, NULL));
  int64_t after = cpu_of(clock);
  CHECK(after - before >= MS(25));
  time = from_ns(after + MS(15));
  CHECK_RC(clock_nanosleep(clock, TIMER_ABSTIME, &time, NULL));
  CHECK(cpu_of(clock) >= after + MS(15));
  CHECK_RC(clock_nanosleep(clock, TIMER_ABSTIME, &time, NULL));  // it has been
  stop = 1;
  join_thread(thread);
}

static pthread_t sleeper;
static volatile int has_ended;

static void* interrupts(void* argument) {
  while (!has_ended) {  // the first may come before it sleeps
    CHECK_RC(pthread_kill(sleeper, SIGUSR1));
    usleep(2000);
  }
  return argument;
}

static void of_who_waits(void) {
  pthread_t thread = start_thread(waits, NULL);
  sem_take(&is_there);
  clockid_t clock = clock_of(thread);
  sleeper = pthread_self();
  struct timespec time = from_ns(MS(5000)), left = {0, 0};
  for (int absolute = 0; absolute < 2; ++absolute) {
    has_ended = 0;
    pthread_t other = start_thread(interrupts, NULL);
    CHECK_EQ(EINTR, clock_nanosleep(clock, absolute ? TIMER_ABSTIME : 0, &time, &left));
    has_ended = 1;
    CHECK(handled > 0);
    join_thread(other);
    CHECK_BETWEEN(MS(4000), to_ns(left), MS(5000));  // of the first
  }
  CHECK_OK(sem_post(&may_end));
  join_thread(thread);
}

static void wrong(void) {
  struct timespec time = from_ns(MS(1)), bad = {0, 1000000000};
  CHECK_EQ(EINVAL, clock_nanosleep(clock_of(pthread_self()), 0, &time, NULL));
  CHECK_EQ(EINVAL, clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &time, NULL));
  pthread_t thread = start_thread(waits, NULL);
  sem_take(&is_there);
  clockid_t clock = clock_of(thread);
  CHECK_EQ(EINVAL, clock_nanosleep(clock, 0, &bad, NULL));
  CHECK_EQ(EFAULT, clock_nanosleep(clock, 0, (struct timespec*)16, NULL));
  CHECK_OK(sem_post(&may_end));
  join_thread(thread);
  CHECK_EQ(EINVAL, clock_nanosleep(clock, 0, &time, NULL));
}

int main(void) {
  CHECK_OK(sem_init(&is_there, 0, 0));
  CHECK_OK(sem_init(&may_end, 0, 0));
  CHECK(signal(SIGUSR1, count_it) != SIG_ERR);
  of_who_computes();
  pass("of a thread that computes");
  of_who_waits();
  pass("ended by a signal");
  wrong();
  pass("clocks and times that are none");
  return 0;
}
