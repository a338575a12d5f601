// More signals from another process than anybody can look at: none is lost, their order is kept,
// and the system calls that they interrupt do what they should.
#include "check.h"

enum { kThreads = 3, kSignals = 20000 };

static volatile int handled;
static volatile char seen[kSignals];
static int ends[2];

static void on_signal(int number, siginfo_t* info, void* context) {
  (void)number;
  (void)context;
  int saved = errno;
  sigset_t pending;
  CHECK_OK(sigpending(&pending));
  ++seen[info->si_value.sival_int];
  ++handled;
  errno = saved;
}

static void* body(void* argument) {
  while (handled < kSignals) {
    char c = 'x';
    ssize_t n;
    while ((n = write(ends[1], &c, 1)) == -1 && errno == EINTR) {
    }
    CHECK_EQ(1, n);
    while ((n = read(ends[0], &c, 1)) == -1 && errno == EINTR) {
    }
    CHECK_EQ(1, n);
    CHECK_EQ('x', c);
    sched_yield();
  }
  return argument;
}

static void flood(pid_t to) {
  for (int i = 0; i < kSignals; ++i) {
    union sigval value = {.sival_int = i};
    while (sigqueue(to, SIGRTMIN, value) == -1)
      CHECK_EQ(EAGAIN, errno);  // as many as may be queued
  }
}

int main(void) {
  CHECK_OK(pipe(ends));
  be_threaded();
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_RESTART | SA_SIGINFO};
  CHECK_OK(sigaction(SIGRTMIN, &action, NULL));
  const pid_t parent = getpid();
  const pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    flood(parent);
    _exit(0);
  }
  // One of them handles the signals: two handlers at once would count at once.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(body, NULL);
  CHECK_RC(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
  body(NULL);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_EXITED(0, child);
  CHECK_EQ(kSignals, handled);
  for (int i = 0; i < kSignals; ++i) CHECK_EQ(1, seen[i]);
  pass("a storm of signals");
  return 0;
}
