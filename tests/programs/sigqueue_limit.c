// RLIMIT_SIGPENDING bounds what is queued: real-time signals with a value or for one thread are
// refused, others lose what is known of their sender.
#include <sys/resource.h>

#include "check.h"

static sigset_t set;
static const struct timespec none = {0, 0};

static void limit_to(rlim_t most) {
  struct rlimit limit;
  CHECK_OK(getrlimit(RLIMIT_SIGPENDING, &limit));
  limit.rlim_cur = most;
  CHECK_OK(setrlimit(RLIMIT_SIGPENDING, &limit));
}

static int queue(int signal, int value) {
  return sigqueue(getpid(), signal, (union sigval){.sival_int = value});
}

// The user's other processes count too, so that it is known how many are too many only.
static long used_by_user(void) {
  FILE* status = fopen("/proc/self/status", "re");
  CHECK(status != NULL);
  char line[256];
  long used = -1;
  while (fgets(line, sizeof line, status) != NULL && sscanf(line, "SigQ: %ld", &used) != 1) {
  }
  CHECK_OK(fclose(status));
  CHECK(used >= 0);
  return used;
}

static void up_to_limit(void) {
  const int most = (int)used_by_user() + 300;
  limit_to((rlim_t)most);
  int queued = 0;
  while (queued <= most && queue(SIGRTMIN, queued) == 0) ++queued;
  CHECK_EQ(EAGAIN, errno);
  CHECK(queued > 0);
  CHECK(queued <= most);
  CHECK_EQ(EAGAIN, pthread_sigqueue(pthread_self(), SIGRTMIN, (union sigval){.sival_int = 0}));
  siginfo_t info;
  for (int i = 0; i < queued; ++i) {
    CHECK_EQ(SIGRTMIN, sigtimedwait(&set, &info, &none));
    CHECK_EQ(i, info.si_value.sival_int);
    CHECK_EQ(SI_QUEUE, info.si_code);
  }
  CHECK_ERRNO(EAGAIN, sigtimedwait(&set, &info, &none));
}

static void not_at_all(void) {
  limit_to(0);
  siginfo_t info;
  CHECK_ERRNO(EAGAIN, queue(SIGRTMIN, 5));
  CHECK_EQ(EAGAIN, pthread_kill(pthread_self(), SIGRTMIN));
  CHECK_ERRNO(EAGAIN, sigtimedwait(&set, &info, &none));
  // To the process without a value: pending, once.
  CHECK_OK(kill(getpid(), SIGRTMIN));
  CHECK_OK(kill(getpid(), SIGRTMIN));
  CHECK_EQ(SIGRTMIN, sigtimedwait(&set, &info, &none));
  CHECK_EQ(SI_USER, info.si_code);
  CHECK_EQ(0, info.si_pid);
  CHECK_ERRNO(EAGAIN, sigtimedwait(&set, &info, &none));
  // A standard signal always comes.
  CHECK_OK(queue(SIGUSR1, 6));
  CHECK_EQ(SIGUSR1, sigtimedwait(&set, &info, &none));
  CHECK_EQ(SI_USER, info.si_code);
  CHECK_EQ(0, info.si_value.sival_int);
  CHECK_OK(kill(getpid(), SIGUSR1));
  CHECK_EQ(SIGUSR1, sigtimedwait(&set, &info, &none));
  CHECK_EQ(getpid(), info.si_pid);
  // What is ignored needs no room.
  CHECK(signal(SIGRTMIN + 1, SIG_IGN) != SIG_ERR);
  CHECK_OK(queue(SIGRTMIN + 1, 7));
}

int main(void) {
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGRTMIN);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  be_threaded();
  up_to_limit();
  pass("up to the limit, in order");
  not_at_all();
  pass("a limit of none");
  limit_to((rlim_t)used_by_user() + 300);
  CHECK_OK(queue(SIGRTMIN, 1));
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    be_threaded();
    up_to_limit();
    _exit(0);
  }
  CHECK_EXITED(0, child);
  pass("in a child");
  return 0;
}
