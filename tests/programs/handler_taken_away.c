// A handler that is taken away at the moment its signal comes: what was sent before runs it, what
// would come after was called off. The default action, death, is never taken.
#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include "check.h"

enum { kRounds = 3000 };

static int over;     // atomic
static int handled;  // atomic

static void on_alarm(int number) {
  __atomic_add_fetch(&handled, number == SIGALRM, __ATOMIC_SEQ_CST);
}

// Keeps the other workers busy with threads that come and go.
static void* stir(void* argument) {
  while (!__atomic_load_n(&over, __ATOMIC_SEQ_CST)) {
    const struct timespec moment = {.tv_nsec = 20000};
    nanosleep(&moment, NULL);
    for (volatile int i = 0; i < 2000; ++i) {
    }
  }
  return argument;
}

int main(void) {
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  CHECK_OK(pthread_sigmask(SIG_BLOCK, &alarm, NULL));
  pthread_t threads[3];
  for (int i = 0; i < 3; ++i) threads[i] = start_thread(stir, NULL);
  CHECK_OK(pthread_sigmask(SIG_UNBLOCK, &alarm, NULL));

  const struct sigaction with_handler = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
  const struct sigaction without = {.sa_handler = SIG_DFL};
  const struct itimerval never = {0};
  for (int round = 0; round < kRounds; ++round) {
    CHECK_OK(sigaction(SIGALRM, &with_handler, NULL));
    const struct itimerval soon = {.it_value.tv_usec = 1 + round % 60};
    CHECK_OK(setitimer(ITIMER_REAL, &soon, NULL));
    const struct timespec moment = {.tv_nsec = 1000 + round % 7 * 10000};
    nanosleep(&moment, NULL);
    CHECK_OK(setitimer(ITIMER_REAL, &never, NULL));
    CHECK_OK(sigaction(SIGALRM, &without, NULL));
  }
  __atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
  for (int i = 0; i < 3; ++i) join_thread(threads[i]);
  CHECK(__atomic_load_n(&handled, __ATOMIC_SEQ_CST) > 0);
  pass("a handler that is taken away");
  return 0;
}
