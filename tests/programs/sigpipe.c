// Writing where nobody reads: SIGPIPE to the thread that wrote, EPIPE to the caller, and the count
// of what went before.
#include "net.h"

static volatile pthread_t handled_by;
static volatile sig_atomic_t handled;

static void on_sigpipe(int number) {
  CHECK_EQ(SIGPIPE, number);
  handled_by = pthread_self();
  ++handled;
}

static int broken_pipe(void) {
  int ends[2];
  CHECK_OK(pipe(ends));
  CHECK_OK(close(ends[0]));
  return ends[1];
}

static int broken_socket(void) {
  int pair[2];
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  CHECK_OK(close(pair[0]));
  return pair[1];
}

static void* writes(void* argument) {
  (void)argument;
  int fd = broken_pipe(), before = handled;
  CHECK_ERRNO(EPIPE, write(fd, "x", 1));
  CHECK_EQ(before + 1, handled);
  CHECK(pthread_equal(pthread_self(), handled_by));
  CHECK_OK(close(fd));
  fd = broken_socket();
  CHECK_ERRNO(EPIPE, send(fd, "x", 1, 0));
  CHECK_EQ(before + 2, handled);
  CHECK(pthread_equal(pthread_self(), handled_by));
  CHECK_ERRNO(EPIPE, send(fd, "x", 1, MSG_NOSIGNAL));
  CHECK_EQ(before + 2, handled);
  CHECK_OK(close(fd));
  return NULL;
}

static void* with_signal_blocked(void* argument) {
  sigset_t set, pending;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  int fd = broken_pipe(), before = handled;
  CHECK_ERRNO(EPIPE, write(fd, "x", 1));
  CHECK_OK(sigpending(&pending));
  CHECK_EQ(1, sigismember(&pending, SIGPIPE));
  struct timespec zero = {0, 0};
  CHECK_EQ(SIGPIPE, sigtimedwait(&set, NULL, &zero));
  CHECK_OK(sigpending(&pending));
  CHECK_EQ(0, sigismember(&pending, SIGPIPE));
  CHECK_EQ(before, handled);
  CHECK_OK(close(fd));
  return argument;
}

static int ends[2];

static void* writes_a_lot(void* argument) {
  static char block[1 << 20];
  ssize_t n = write(ends[1], block, sizeof block);
  CHECK(n > 0 && n < (ssize_t)sizeof block);
  return argument;
}

int main(void) {
  struct sigaction action = {.sa_handler = on_sigpipe};
  CHECK_OK(sigaction(SIGPIPE, &action, NULL));
  for (int i = 0; i < 5; ++i) join_thread(start_thread(writes, NULL));
  writes(NULL);
  pass("the signal goes to the thread that wrote");
  join_thread(start_thread(with_signal_blocked, NULL));
  pass("and stays pending there while blocked");

  CHECK_OK(pipe(ends));
  pthread_t thread = start_thread(writes_a_lot, NULL);
  char buffer[4096];
  read_all(ends[0], buffer, sizeof buffer);
  settle();
  CHECK_OK(close(ends[0]));
  join_thread(thread);
  pass("a write that is cut short returns what went");

  CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
  int fd = broken_pipe();
  CHECK_ERRNO(EPIPE, write(fd, "x", 1));
  pass("ignored");

  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    be_threaded();
    (void)!write(fd, "x", 1);
    _exit(1);
  }
  CHECK_KILLED(SIGPIPE, child);
  pass("fatal by default");
  return 0;
}
