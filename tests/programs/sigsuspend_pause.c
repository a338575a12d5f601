// sigsuspend swaps the mask for the wait without a gap; pause and sigsuspend end after a handler
// has run.
#include "check.h"

static __thread volatile sig_atomic_t handled;
static sem_t entered, in_suspend[5];

static void on_signal(int number) {
  (void)number;
  ++handled;
}

static void* suspends(void* argument) {
  sigset_t set, open_mask, now;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, &open_mask));
  sigdelset(&open_mask, SIGUSR1);
  for (int i = 1; i <= 50; ++i) {
    CHECK_OK(sem_post(argument));
    // The signal may come before or within: it is pending or interrupts, but is never lost.
    CHECK_ERRNO(EINTR, sigsuspend(&open_mask));
    CHECK_EQ(i, handled);
    CHECK_RC(pthread_sigmask(SIG_SETMASK, NULL, &now));
    CHECK_EQ(1, sigismember(&now, SIGUSR1));
  }
  return NULL;
}

static void* pauses(void* argument) {
  CHECK_OK(sem_post(&entered));
  CHECK_ERRNO(EINTR, pause());
  CHECK(handled > 0);
  return argument;
}

static void* pauses_through_ignored(void* argument) {
  CHECK_OK(sem_post(&entered));
  CHECK_ERRNO(EINTR, pause());
  CHECK(handled > 0);  // an ignored signal does not end it
  return argument;
}

static void signal_until_end(pthread_t thread, int number) {
  for (int i = 0; pthread_tryjoin_np(thread, NULL) == EBUSY; ++i) {
    CHECK(i < kBoundMs / 2);
    CHECK_RC(pthread_kill(thread, number));
    usleep(2000);
  }
}

int main(void) {
  CHECK_OK(sem_init(&entered, 0, 0));
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  CHECK(signal(SIGUSR2, SIG_IGN) != SIG_ERR);

  pthread_t threads[5];
  for (int i = 0; i < 5; ++i) {
    CHECK_OK(sem_init(&in_suspend[i], 0, 0));
    threads[i] = start_thread(suspends, &in_suspend[i]);
  }
  for (int round = 0; round < 50; ++round) {
    for (int i = 0; i < 5; ++i) sem_take(&in_suspend[i]);
    if (round % 10 == 0) settle();
    for (int i = 0; i < 5; ++i) CHECK_RC(pthread_kill(threads[i], SIGUSR1));
  }
  for (int i = 0; i < 5; ++i) join_thread(threads[i]);
  pass("sigsuspend");

  pthread_t thread = start_thread(pauses, NULL);
  sem_take(&entered);
  signal_until_end(thread, SIGUSR1);
  pass("pause");

  thread = start_thread(pauses_through_ignored, NULL);
  sem_take(&entered);
  for (int i = 0; i < 10; ++i) {
    CHECK_RC(pthread_kill(thread, SIGUSR2));
    usleep(1000);
  }
  CHECK_EQ(EBUSY, pthread_tryjoin_np(thread, NULL));
  signal_until_end(thread, SIGUSR1);
  pass("not ended by what is ignored");
  return 0;
}
