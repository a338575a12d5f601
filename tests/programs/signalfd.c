// signalfd: a thread reads signals from a descriptor, with their senders and values.
#include <sys/signalfd.h>

#include "check.h"

static int fd;

static void* reads_three(void* argument) {
  int* values = argument;
  for (int i = 0; i < 3; ++i) {
    struct signalfd_siginfo info;
    CHECK_EQ(sizeof info, read(fd, &info, sizeof info));
    CHECK_EQ(SIGRTMIN + 1, info.ssi_signo);
    CHECK_EQ(SI_QUEUE, info.ssi_code);
    CHECK_EQ(getpid(), info.ssi_pid);
    CHECK_EQ(getuid(), info.ssi_uid);
    values[i] = info.ssi_int;
  }
  return NULL;
}

int main(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGRTMIN + 1);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  be_threaded();
  fd = signalfd(-1, &set, SFD_CLOEXEC);
  CHECK_OK(fd);

  int values[3] = {0};
  pthread_t reader = start_thread(reads_three, values);
  settle();
  for (int i = 1; i <= 3; ++i) {
    CHECK_OK(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = i * 11}));
  }
  join_thread(reader);
  for (int i = 1; i <= 3; ++i) CHECK_EQ(i * 11, values[i - 1]);
  pass("a blocked read gets queued signals in order");

  CHECK_EQ(0, poll(&(struct pollfd){fd, POLLIN, 0}, 1, 0));
  CHECK_OK(kill(getpid(), SIGUSR1));
  CHECK_OK(kill(getpid(), SIGUSR1));
  CHECK_EQ(POLLIN, wait_ready(fd, POLLIN));
  struct signalfd_siginfo infos[4];
  CHECK_EQ(sizeof infos[0], read(fd, infos, sizeof infos));  // a plain signal is pending once
  CHECK_EQ(SIGUSR1, infos[0].ssi_signo);
  CHECK_EQ(SI_USER, infos[0].ssi_code);
  CHECK_OK(fcntl(fd, F_SETFL, O_NONBLOCK));
  CHECK_ERRNO(EAGAIN, read(fd, infos, sizeof infos));
  pass("poll, and plain signals once");
  return 0;
}
