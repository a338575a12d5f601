// timer_create: notification by a signal, by a thread of libc's, by no one; overruns and deletion.
#include "check.h"

static volatile sig_atomic_t handled;
static volatile int value, code;
static sem_t notified;
static pthread_t notifier;

static void on_signal(int number, siginfo_t* info, void* context) {
  (void)number;
  (void)context;
  value = info->si_value.sival_int;
  code = info->si_code;
  ++handled;
}

static void in_thread(union sigval v) {
  notifier = pthread_self();
  value = v.sival_int;
  CHECK_OK(sem_post(&notified));
}

static void set_timer(timer_t timer, int64_t first, int64_t interval) {
  struct itimerspec t = {from_ns(interval), from_ns(first)};
  CHECK_OK(timer_settime(timer, 0, &t, NULL));
}

int main(void) {
  be_threaded();
  CHECK_OK(sem_init(&notified, 0, 0));
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
  CHECK_OK(sigaction(SIGRTMIN, &action, NULL));

  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
  event.sigev_value.sival_int = 31;
  timer_t timer;
  CHECK_OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
  int64_t begin = mono_ns();
  set_timer(timer, MS(20), MS(20));
  CHECK_ERRNO(EINTR, poll(NULL, 0, kBoundMs));
  CHECK(mono_ns() - begin >= MS(20));
  CHECK(handled > 0);
  CHECK_EQ(31, value);
  CHECK_EQ(SI_TIMER, code);
  set_timer(timer, MS(2), MS(2));
  int before = handled;
  while (handled < before + 5) {
    CHECK(mono_ns() - begin < MS(kBoundMs));
    usleep(1000);
  }
  CHECK(timer_getoverrun(timer) >= 0);
  struct itimerspec now;
  CHECK_OK(timer_gettime(timer, &now));
  CHECK_EQ(MS(2), to_ns(now.it_interval));
  CHECK_OK(timer_delete(timer));
  pass("by a signal");

  event = (struct sigevent){.sigev_notify = SIGEV_THREAD};
  event.sigev_value.sival_int = 47;
  event.sigev_notify_function = in_thread;
  CHECK_OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
  begin = mono_ns();
  set_timer(timer, MS(10), MS(3));
  for (int i = 0; i < 3; ++i) {
    sem_take(&notified);
    CHECK(mono_ns() - begin >= MS(10));
    CHECK_EQ(47, value);
    CHECK(!pthread_equal(notifier, pthread_self()));
  }
  CHECK_OK(timer_delete(timer));
  pass("by a thread");

  event = (struct sigevent){.sigev_notify = SIGEV_NONE};
  CHECK_OK(timer_create(CLOCK_REALTIME, &event, &timer));
  set_timer(timer, MS(100000), 0);
  CHECK_OK(timer_gettime(timer, &now));
  CHECK_BETWEEN(MS(1000), to_ns(now.it_value), MS(100001));
  CHECK_OK(timer_delete(timer));
  CHECK_ERRNO(EINVAL, timer_create(9999, &event, &timer));
  pass("by no one");
  return 0;
}
