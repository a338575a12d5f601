// Signals that are ignored, by choice or by default, neither interrupt anything nor stay pending.
#include "check.h"

static int ends[2];
static volatile sig_atomic_t handled;

static void on_signal(int number) {
  (void)number;
  ++handled;
}

static void* reads(void* argument) {
  char c = 0;
  CHECK_EQ(1, read(ends[0], &c, 1));
  CHECK_EQ('i', c);
  return argument;
}

static void* sleeps(void* argument) {
  struct timespec t = {0, 100000000};
  CHECK_OK(nanosleep(&t, NULL));
  return argument;
}

static void* polls(void* argument) {
  CHECK_EQ(0, poll(&(struct pollfd){-1, POLLIN, 0}, 1, 100));
  return argument;
}

static void* waits_for_sem(void* argument) {
  struct timespec deadline = after_ns(CLOCK_MONOTONIC, MS(100));
  CHECK_ERRNO(ETIMEDOUT, sem_clockwait(argument, CLOCK_MONOTONIC, &deadline));
  return NULL;
}

int main(void) {
  sem_t never;
  CHECK_OK(sem_init(&never, 0, 0));
  CHECK_OK(pipe(ends));
  CHECK(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
  CHECK(signal(SIGTERM, SIG_IGN) != SIG_ERR);
  int ignored[] = {SIGUSR1, SIGTERM, SIGWINCH, SIGURG, SIGCHLD, SIGCONT};

  pthread_t threads[4] = {start_thread(reads, NULL), start_thread(sleeps, NULL),
                          start_thread(polls, NULL), start_thread(waits_for_sem, &never)};
  for (int i = 0; i < 60; ++i) {
    for (int k = 0; k < 6; ++k) {
      CHECK_RC(pthread_kill(threads[0], ignored[k]));
      CHECK_OK(kill(getpid(), ignored[k]));
    }
    usleep(1000);
    if (i == 30) {
      for (int k = 1; k < 4; ++k) join_thread(threads[k]);
    }
  }
  CHECK_EQ(EBUSY, pthread_tryjoin_np(threads[0], NULL));
  CHECK_EQ(1, write(ends[1], "i", 1));
  join_thread(threads[0]);
  pass("nothing is interrupted");

  sigset_t set, pending;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  CHECK(signal(SIGUSR1, on_signal) == SIG_IGN);
  CHECK_OK(kill(getpid(), SIGUSR1));
  CHECK_OK(sigpending(&pending));
  CHECK_EQ(1, sigismember(&pending, SIGUSR1));
  CHECK(signal(SIGUSR1, SIG_IGN) == on_signal);  // drops what is pending
  CHECK_OK(sigpending(&pending));
  CHECK_EQ(0, sigismember(&pending, SIGUSR1));
  CHECK(signal(SIGUSR1, on_signal) == SIG_IGN);
  CHECK_RC(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
  CHECK_EQ(0, handled);
  pass("ignoring drops what is pending");
  return 0;
}
