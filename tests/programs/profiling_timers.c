// What a timer of CPU time sends to the process goes to the thread that runs when it expires: to
// the one that computes, not to the one that waits for it.
#include <sys/time.h>

#include "check.h"

static _Atomic int main_tid, by_main, by_others;

static void on_expiration(int signal) {
  (void)signal;
  if (gettid() == main_tid) {
    ++by_main;
  } else {
    ++by_others;
  }
}

static void* computes(void* argument) {
  volatile uint64_t sum = 0;
  while (by_main + by_others < 20) {
    for (int i = 0; i < 100000; ++i) sum += (uint64_t)i;
  }
  return argument;
}

static void let_compute(const char* which) {
  by_main = by_others = 0;
  join_thread(start_thread(computes, NULL));
  CHECK(by_others >= 15);  // one may find the main thread on its way to wait
  pass(which);
}

static void by_itimer(int kind, int signal, const char* which) {
  struct sigaction action = {.sa_handler = on_expiration, .sa_flags = SA_RESTART};
  CHECK_OK(sigaction(signal, &action, NULL));
  struct itimerval each = {{0, 10000}, {0, 10000}}, none = {{0, 0}, {0, 0}};
  CHECK_OK(setitimer(kind, &each, NULL));
  let_compute(which);
  CHECK_OK(setitimer(kind, &none, NULL));
}

int main(void) {
  main_tid = gettid();
  by_itimer(ITIMER_PROF, SIGPROF, "ITIMER_PROF");
  by_itimer(ITIMER_VIRTUAL, SIGVTALRM, "ITIMER_VIRTUAL");
  struct sigaction action = {.sa_handler = on_expiration, .sa_flags = SA_RESTART};
  CHECK_OK(sigaction(SIGUSR2, &action, NULL));
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
  timer_t timer;
  CHECK_OK(timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &timer));
  struct itimerspec each = {{0, 10000000}, {0, 10000000}};
  CHECK_OK(timer_settime(timer, 0, &each, NULL));
  let_compute("timer_create");
  CHECK_OK(timer_delete(timer));
  return 0;
}
