// A signalfd that the process had before its first thread, as a program has that starts threads
// from its event loop, reads what comes afterwards.
#include <sys/signalfd.h>

#include "check.h"

static int fd;

static void* reads(void* argument) {
  struct signalfd_siginfo info;
  CHECK_EQ(sizeof info, read(fd, &info, sizeof info));
  CHECK_EQ(SIGRTMIN + 1, info.ssi_signo);
  CHECK_EQ(SI_QUEUE, info.ssi_code);
  *(int*)argument = info.ssi_int;
  return NULL;
}

static void queue(int value) {
  CHECK_OK(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = value}));
}

static void take(int signal) {
  struct signalfd_siginfo info;
  CHECK_EQ(POLLIN, wait_ready(fd, POLLIN));
  CHECK_EQ(sizeof info, read(fd, &info, sizeof info));
  CHECK_EQ(signal, info.ssi_signo);
}

int main(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGCHLD);
  sigaddset(&set, SIGRTMIN + 1);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  fd = signalfd(-1, &set, SFD_CLOEXEC);
  CHECK_OK(fd);
  CHECK_OK(kill(getpid(), SIGUSR1));  // pending when the first thread is made
  be_threaded();
  take(SIGUSR1);
  CHECK_OK(kill(getpid(), SIGUSR1));
  take(SIGUSR1);
  pass("before and after the first thread");

  int values[3] = {0};
  for (int i = 0; i < 3; ++i) {
    pthread_t reader = start_thread(reads, &values[i]);
    settle();
    queue(i + 5);
    join_thread(reader);
    CHECK_EQ(i + 5, values[i]);
  }
  pass("a blocked read");

  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    be_threaded();
    CHECK_OK(kill(getpid(), SIGUSR1));
    take(SIGUSR1);
    _exit(0);
  }
  take(SIGCHLD);
  CHECK_EXITED(0, child);
  pass("in a child, and its end");
  return 0;
}
