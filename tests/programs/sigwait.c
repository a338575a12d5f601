// A thread that takes the signals of the process by sigwait, all others blocking them: the way of
// servers to handle SIGTERM and SIGHUP.
#include "check.h"

static sigset_t set;
static int counts[NSIG];
static sem_t taken;

static void* takes_signals(void* argument) {
  for (;;) {
    int number = 0;
    CHECK_RC(sigwait(&set, &number));
    ++counts[number];
    CHECK_OK(sem_post(&taken));
    if (number == SIGTERM) return argument;
  }
}

static void* computes(void* argument) {
  sem_t* stop = argument;
  sem_take(stop);
  return NULL;
}

static void* takes_own(void* argument) {
  sigset_t one;
  int number = 0;
  sigemptyset(&one);
  sigaddset(&one, SIGUSR2);
  CHECK_OK(sem_post(argument));
  CHECK_RC(sigwait(&one, &number));
  CHECK_EQ(SIGUSR2, number);
  return (void*)(intptr_t)gettid();
}

int main(void) {
  sem_t stop, entered;
  CHECK_OK(sem_init(&stop, 0, 0));
  CHECK_OK(sem_init(&entered, 0, 0));
  CHECK_OK(sem_init(&taken, 0, 0));
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGHUP);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGUSR2);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  CHECK_OK(kill(getpid(), SIGHUP));  // pending before anyone waits

  pthread_t taker = start_thread(takes_signals, NULL), others[5];
  for (int i = 0; i < 5; ++i) others[i] = start_thread(computes, &stop);
  sem_take(&taken);
  CHECK_EQ(1, counts[SIGHUP]);
  for (int i = 0; i < 20; ++i) {
    CHECK_OK(kill(getpid(), SIGUSR1));
    sem_take(&taken);
  }
  CHECK_EQ(20, counts[SIGUSR1]);
  pass("signals of the process");

  pid_t parent = getpid(), child = fork();
  CHECK_OK(child);
  if (child == 0) {
    CHECK_OK(kill(parent, SIGHUP));
    _exit(0);
  }
  sem_take(&taken);
  CHECK_EQ(2, counts[SIGHUP]);
  CHECK_EXITED(0, child);
  CHECK_RC(pthread_kill(taker, SIGUSR2));
  sem_take(&taken);
  CHECK_EQ(1, counts[SIGUSR2]);
  CHECK_OK(kill(getpid(), SIGTERM));
  join_thread(taker);
  pass("from another process, to the thread itself, and the last one");

  pthread_t owners[5];
  for (int i = 0; i < 5; ++i) owners[i] = start_thread(takes_own, &entered);
  for (int i = 0; i < 5; ++i) sem_take(&entered);
  for (int i = 4; i >= 0; --i) {
    CHECK_RC(pthread_kill(owners[i], SIGUSR2));
    join_thread(owners[i]);
  }
  pass("each thread takes its own");

  for (int i = 0; i < 5; ++i) CHECK_OK(sem_post(&stop));
  for (int i = 0; i < 5; ++i) join_thread(others[i]);
  sigset_t pending;
  CHECK_OK(sigpending(&pending));
  for (int i = 1; i < NSIG; ++i) CHECK_EQ(0, sigismember(&pending, i));
  pass("nothing is left pending");
  return 0;
}
