// A handler that interrupts read, poll or a semaphore leaves it by siglongjmp; the thread goes on
// as if nothing had been asked, and the others that wait on the same things are undisturbed.
#include <setjmp.h>

#include "check.h"

enum { kRounds = 30 };

static __thread sigjmp_buf recovery;
static __thread volatile sig_atomic_t armed;
static int ends[2];
static sem_t sem, jumped;

static void on_signal(int number) {
  (void)number;
  if (armed) {
    armed = 0;
    siglongjmp(recovery, 1);
  }
}

static void* body(void* argument) {
  for (volatile int round = 0; round < kRounds; ++round) {
    if (sigsetjmp(recovery, 1) == 0) {
      armed = 1;
      char c;
      if (round % 3 == 0) {
        read(ends[0], &c, 1);
      } else if (round % 3 == 1) {
        poll(&(struct pollfd){ends[0], POLLIN, 0}, 1, kBoundMs);
      } else {
        sem_wait(&sem);
      }
      FAIL("the wait ended in round %d", round);
    }
    CHECK_OK(sem_post(&jumped));
    CHECK_EQ(3, (intptr_t)join_thread(start_thread(do_nothing, (void*)3)));
  }
  return argument;
}

static void* undisturbed(void* argument) {
  if (argument) {
    char c = 0;
    CHECK_EQ(1, read(ends[0], &c, 1));
    CHECK_EQ('u', c);
  } else {
    sem_take(&sem);
  }
  return NULL;
}

int main(void) {
  CHECK_OK(pipe(ends));
  CHECK_OK(sem_init(&sem, 0, 0));
  CHECK_OK(sem_init(&jumped, 0, 0));
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));

  pthread_t others[4];
  for (int i = 0; i < 4; ++i) others[i] = start_thread(undisturbed, i % 2 ? ends : NULL);
  pthread_t thread = start_thread(body, NULL);
  for (int round = 0; round < kRounds; ++round) {
    for (int i = 0;; ++i) {
      CHECK_RC(pthread_kill(thread, SIGUSR1));
      struct timespec deadline = after_ns(CLOCK_MONOTONIC, MS(3));
      if (sem_clockwait(&jumped, CLOCK_MONOTONIC, &deadline) == 0) break;
      CHECK(i < kBoundMs / 3);
    }
  }
  join_thread(thread);
  pass("out of thirty waits");

  for (int i = 0; i < 4; ++i) CHECK_EQ(EBUSY, pthread_tryjoin_np(others[i], NULL));
  CHECK_EQ(2, write(ends[1], "uu", 2));
  CHECK_OK(sem_post(&sem));
  CHECK_OK(sem_post(&sem));
  for (int i = 0; i < 4; ++i) join_thread(others[i]);
  pass("the others are undisturbed");
  return 0;
}
