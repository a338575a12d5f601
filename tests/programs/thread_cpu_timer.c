// Timers on the CPU time of single threads, the caller's and others': they expire when that thread
// has computed for so long, by a time span or at a point, and do not while it waits.
#include "thread_clock.h"

enum { kSleepers = 6 };

static volatile int expired, stop;
static sem_t ready, go;
static int ends[2], file;
static struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

static void on_expiry(int number) {
  (void)number;
  ++expired;
}

static timer_t make_timer(clockid_t clock) {
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
  timer_t timer;
  CHECK_OK(timer_create(clock, &event, &timer));
  return timer;
}

static void set_timer(timer_t timer, int flags, int64_t time) {
  const struct itimerspec wanted = {.it_value = from_ns(time)};
  expired = 0;
  CHECK_OK(timer_settime(timer, flags, &wanted, NULL));
}

static void burn(int64_t nanoseconds) {
  const int64_t end = cpu_of(CLOCK_THREAD_CPUTIME_ID) + nanoseconds;
  while (cpu_of(CLOCK_THREAD_CPUTIME_ID) < end) continue;
}

static void expires_at(clockid_t clock, int64_t point) {
  const int64_t bound = mono_ns() + MS(kBoundMs);
  while (!expired && mono_ns() < bound) continue;
  CHECK_EQ(1, expired);
  // (The clock of another thread is not read to the nanosecond.)
  CHECK_BETWEEN(point - US(200), cpu_of(clock), point + MS(250));
}

static void measures(clockid_t clock) {
  timer_t timer = make_timer(clock);
  const int64_t now = cpu_of(clock);
  set_timer(timer, 0, MS(30));
  expires_at(clock, now + MS(30));
  const int64_t point = cpu_of(clock) + MS(30);
  set_timer(timer, TIMER_ABSTIME, point);
  expires_at(clock, point);
  set_timer(timer, TIMER_ABSTIME, point);  // is over
  const int64_t bound = mono_ns() + MS(kBoundMs);
  while (!expired && mono_ns() < bound) continue;
  CHECK_EQ(1, expired);
  CHECK_OK(timer_delete(timer));
}

static void* measures_itself(void* argument) {
  burn(MS(300));
  measures(CLOCK_THREAD_CPUTIME_ID);
  return argument;
}

static void* computes(void* argument) {
  burn(MS(20));
  CHECK_OK(sem_post(&ready));
  while (!stop) continue;
  return argument;
}

static void* waits(void* argument) {
  const int how = *(int*)argument;
  char byte;
  struct timespec t = {0, 300000000};
  struct pollfd readable = {ends[0], POLLIN, 0};
  sigset_t set;
  CHECK_OK(sigemptyset(&set));
  CHECK_OK(sigaddset(&set, SIGUSR2));
  CHECK_OK(sem_post(&ready));
  switch (how) {
    case 0:
      CHECK_OK(sem_wait(&go));
      break;
    case 1:
      CHECK_EQ(1, read(ends[0], &byte, 1));
      break;
    case 2:
      CHECK_OK(nanosleep(&t, NULL));
      break;
    case 3:
      CHECK_EQ(1, poll(&readable, 1, kBoundMs));
      break;
    case 4:
      t.tv_sec = kBoundMs / 1000;
      CHECK_EQ(SIGUSR2, sigtimedwait(&set, NULL, &t));
      break;
    default:
      CHECK_OK(fcntl(file, F_OFD_SETLKW, &whole));
      break;
  }
  return argument;
}

// A timer on their time is no reason for them to wake up.
static void waiters(void) {
  pthread_t threads[kSleepers];
  int kinds[kSleepers];
  timer_t timers[kSleepers];
  char name[] = "/tmp/thread_cpu_timer.XXXXXX";
  const int mine = mkstemp(name);
  CHECK_OK(mine);
  file = open(name, O_RDWR | O_CLOEXEC);
  CHECK_OK(file);
  CHECK_OK(unlink(name));
  CHECK_OK(fcntl(mine, F_OFD_SETLKW, &whole));
  CHECK_OK(pipe(ends));
  expired = 0;
  for (int i = 0; i < kSleepers; ++i) {
    kinds[i] = i;
    threads[i] = start_thread(waits, &kinds[i]);
    sem_take(&ready);
    if (i % 2 == 0) settle();
    timers[i] = make_timer(clock_of(threads[i]));
    const struct itimerspec wanted = {.it_value = from_ns(MS(20))};
    CHECK_OK(timer_settime(timers[i], 0, &wanted, NULL));
  }
  for (int i = 0; i < 5; ++i) settle();
  CHECK_EQ(0, expired);
  CHECK_OK(sem_post(&go));
  CHECK_EQ(2, write(ends[1], "xy", 2));
  CHECK_RC(pthread_kill(threads[4], SIGUSR2));
  CHECK_OK(close(mine));
  for (int i = 0; i < kSleepers; ++i) {
    join_thread(threads[i]);
    CHECK_OK(timer_delete(timers[i]));
  }
}

int main(void) {
  CHECK_OK(sem_init(&ready, 0, 0));
  CHECK_OK(sem_init(&go, 0, 0));
  CHECK(signal(SIGUSR1, on_expiry) != SIG_ERR);
  sigset_t set;
  CHECK_OK(sigemptyset(&set));
  CHECK_OK(sigaddset(&set, SIGUSR2));
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  be_threaded();
  burn(MS(20));
  join_thread(start_thread(measures_itself, NULL));
  pass("a thread's own time");

  pthread_t busy = start_thread(computes, NULL);
  sem_take(&ready);
  measures(clock_of(busy));
  stop = 1;
  const clockid_t clock = clock_of(busy);
  join_thread(busy);
  // (The Linux kernel lets whoever joins go on a moment before the thread is gone.)
  timer_t timer;
  const int64_t bound = mono_ns() + MS(kBoundMs);
  while (timer_create(clock, NULL, &timer) == 0 && mono_ns() < bound) {
    CHECK_OK(timer_delete(timer));
    CHECK_RC(sched_yield());
  }
  CHECK_ERRNO(EINVAL, timer_create(clock, NULL, &timer));
  pass("another thread's time");

  waiters();
  pass("threads that wait");
  return 0;
}
