// alarm and setitimer in a threaded process: they interrupt the thread that does not block their
// signal, be it waiting or computing.
#include <sys/time.h>

#include "check.h"

static volatile sig_atomic_t handled;
static volatile pthread_t handled_by;
static volatile sig_atomic_t alarm_again;
static int ends[2];

static void on_signal(int number) {
  (void)number;
  handled_by = pthread_self();
  ++handled;
  if (alarm_again) alarm(1);  // for a read that was not entered in time
}

static void set_timer(int which, int64_t first_us, int64_t interval_us) {
  struct itimerval t = {{interval_us / 1000000, interval_us % 1000000},
                        {first_us / 1000000, first_us % 1000000}};
  CHECK_OK(setitimer(which, &t, NULL));
}

static void* waits(void* argument) {
  sem_take(argument);
  return NULL;
}

int main(void) {
  sem_t stop;
  sigset_t set;
  CHECK_OK(sem_init(&stop, 0, 0));
  CHECK_OK(pipe(ends));
  sigemptyset(&set);
  sigaddset(&set, SIGALRM);
  sigaddset(&set, SIGVTALRM);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  pthread_t others[5];
  for (int i = 0; i < 5; ++i) others[i] = start_thread(waits, &stop);
  CHECK_RC(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
  struct sigaction action = {.sa_handler = on_signal};
  CHECK_OK(sigaction(SIGALRM, &action, NULL));
  CHECK_OK(sigaction(SIGVTALRM, &action, NULL));

  char c;
  int64_t begin = mono_ns();
  alarm_again = 1;
  CHECK_EQ(0, alarm(1));
  CHECK_ERRNO(EINTR, read(ends[0], &c, 1));
  CHECK_BETWEEN(MS(1000), mono_ns() - begin, MS(20000));
  alarm_again = 0;
  CHECK(handled > 0);
  CHECK(pthread_equal(handled_by, pthread_self()));
  alarm(0);
  CHECK_EQ(0, alarm(100));
  CHECK_BETWEEN(90, alarm(0), 100);
  CHECK_EQ(0, alarm(0));
  pass("alarm interrupts read");

  handled = 0;
  begin = mono_ns();
  set_timer(ITIMER_REAL, 20000, 20000);
  CHECK_ERRNO(EINTR, poll(&(struct pollfd){ends[0], POLLIN, 0}, 1, kBoundMs));
  CHECK_BETWEEN(MS(20), mono_ns() - begin, MS(20000));
  CHECK(handled > 0);
  set_timer(ITIMER_REAL, 0, 0);
  pass("setitimer interrupts poll");

  handled = 0;
  set_timer(ITIMER_REAL, 5000, 5000);
  begin = mono_ns();
  while (handled < 5) {
    CHECK(mono_ns() - begin < MS(kBoundMs));
    usleep(100000);
  }
  struct itimerval now;
  CHECK_OK(getitimer(ITIMER_REAL, &now));
  CHECK_EQ(5000, now.it_interval.tv_usec);
  CHECK(now.it_value.tv_sec == 0 && now.it_value.tv_usec <= 5100);
  set_timer(ITIMER_REAL, 0, 0);
  CHECK(mono_ns() - begin >= MS(25));
  pass("again and again");

  handled = 0;
  begin = mono_ns();
  set_timer(ITIMER_REAL, 3000, 0);
  while (!handled) CHECK(mono_ns() - begin < MS(kBoundMs));  // no system call in here
  CHECK(mono_ns() - begin >= MS(3));
  pass("interrupts a computation");

  handled = 0;
  begin = mono_ns();
  set_timer(ITIMER_VIRTUAL, 3000, 0);
  while (!handled) CHECK(mono_ns() - begin < MS(kBoundMs));
  pass("a timer of processor time");

  for (int i = 0; i < 5; ++i) CHECK_OK(sem_post(&stop));
  for (int i = 0; i < 5; ++i) join_thread(others[i]);
  CHECK_ERRNO(EINVAL, setitimer(77, &now, NULL));
  return 0;
}
