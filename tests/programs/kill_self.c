// A signal that a thread sends to its own process or to itself, and that only this thread does not
// block, is handled before the call returns.
#include "check.h"

enum { kThreads = 10, kRounds = 50 };

static volatile int handled;
static volatile pthread_t handled_by;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static sigset_t set;
static int pidfd, directory;

static void on_signal(int number) {
  (void)number;
  handled_by = pthread_self();
  ++handled;
}

static void* body(void* argument) {
  for (int round = 0; round < kRounds; ++round) {
    CHECK_RC(pthread_mutex_lock(&mutex));
    handled = 0;
    CHECK_RC(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
    CHECK_OK(kill(getpid(), SIGUSR1));
    CHECK_EQ(1, handled);
    CHECK(pthread_equal(handled_by, pthread_self()));
    CHECK_RC(raise(SIGUSR1));
    CHECK_EQ(2, handled);
    CHECK_RC(pthread_kill(pthread_self(), SIGUSR1));
    CHECK_EQ(3, handled);
    CHECK_OK(syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1));
    CHECK_EQ(4, handled);
    CHECK_OK(syscall(SYS_tkill, gettid(), SIGUSR1));
    CHECK_EQ(5, handled);
    CHECK_OK(syscall(SYS_kill, getpid(), SIGUSR1));
    CHECK_EQ(6, handled);
    CHECK(pthread_equal(handled_by, pthread_self()));
    CHECK_OK(syscall(SYS_pidfd_send_signal, pidfd, SIGUSR1, NULL, 0));
    CHECK_EQ(7, handled);
    // The kernel takes a directory of /proc for a pidfd, too.
    CHECK_OK(syscall(SYS_pidfd_send_signal, directory, SIGUSR1, NULL, 0));
    CHECK_EQ(8, handled);
    siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
    CHECK_OK(syscall(SYS_pidfd_send_signal, pidfd, SIGUSR1, &info, 0));
    CHECK_EQ(9, handled);
    CHECK(pthread_equal(handled_by, pthread_self()));
    CHECK_ERRNO(EINVAL, syscall(SYS_pidfd_send_signal, pidfd, SIGUSR2, &info, 0));
    CHECK_ERRNO(EINVAL, syscall(SYS_pidfd_send_signal, pidfd, 100, NULL, 0));
    CHECK_ERRNO(EINVAL, syscall(SYS_pidfd_send_signal, pidfd, SIGUSR1, NULL, 99));
    CHECK_ERRNO(EBADF, syscall(SYS_pidfd_send_signal, 1, SIGUSR1, NULL, 0));
    CHECK_ERRNO(EBADF, syscall(SYS_pidfd_send_signal, -1, SIGUSR1, NULL, 0));
    CHECK_OK(syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0));
    CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
    CHECK_OK(kill(getpid(), SIGUSR1));
    sched_yield();
    CHECK_EQ(9, handled);
    CHECK_RC(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
    CHECK_EQ(10, handled);
    CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
    CHECK_RC(pthread_mutex_unlock(&mutex));
    if (round % 5 == 0) sched_yield();
  }
  return argument;
}

int main(void) {
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  struct sigaction action = {.sa_handler = on_signal};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
  CHECK_OK(pidfd);
  char path[32];
  snprintf(path, sizeof path, "/proc/%d", (int)getpid());
  directory = open(path, O_DIRECTORY | O_RDONLY);
  CHECK_OK(directory);
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(body, NULL);
  body(NULL);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  pass("handled before the call returns");
  return 0;
}
