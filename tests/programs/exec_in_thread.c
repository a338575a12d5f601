// exec from a thread of a process that has others: the new program has the old process id, one
// thread, the same descriptors but those marked close-on-exec, the thread's mask, and works.
#include "check.h"

static char* program;
static int kept[2], closed[2];

static void on_signal(int number) { (void)number; }

static void* waits(void* argument) {
  char c;
  (void)!read(kept[0], &c, 1);
  return argument;
}

static void* executes(void* argument) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  CHECK_RC(pthread_kill(pthread_self(), SIGUSR2));  // pending over exec
  char pid[16], a[16], b[16];
  snprintf(pid, sizeof pid, "%d", (int)getpid());
  snprintf(a, sizeof a, "%d", kept[1]);
  snprintf(b, sizeof b, "%d", closed[1]);
  execl("/proc/self/exe", program, pid, a, b, (char*)NULL);
  FAIL("exec failed: %s", strerror(errno));
  return argument;
}

static void* reports(void* argument) {
  usleep(1000);
  CHECK_EQ(2, write(*(int*)argument, "ok", 2));
  return NULL;
}

// What the new program finds.
static int inspect(char** argv) {
  CHECK_EQ(atoi(argv[1]), getpid());
  CHECK_EQ(getpid(), gettid());
  int fd = atoi(argv[2]);
  CHECK_OK(fcntl(fd, F_GETFD));
  CHECK_ERRNO(EBADF, fcntl(atoi(argv[3]), F_GETFD));
  sigset_t now, pending;
  CHECK_RC(pthread_sigmask(SIG_SETMASK, NULL, &now));
  CHECK_EQ(1, sigismember(&now, SIGUSR2));
  CHECK_EQ(0, sigismember(&now, SIGUSR1));
  CHECK_OK(sigpending(&pending));
  CHECK_EQ(1, sigismember(&pending, SIGUSR2));
  struct sigaction action;
  CHECK_OK(sigaction(SIGUSR1, NULL, &action));
  CHECK(action.sa_handler == SIG_DFL);  // handlers are gone
  CHECK_OK(sigaction(SIGHUP, NULL, &action));
  CHECK(action.sa_handler == SIG_IGN);  // what is ignored stays ignored
  CHECK_STR("kept", getenv("TEST_WORD"));
  struct timespec zero = {0, 0};
  CHECK_EQ(SIGUSR2, sigtimedwait(&pending, NULL, &zero));
  join_thread(start_thread(reports, &fd));
  return 33;
}

int main(int argc, char** argv) {
  if (argc == 4) return inspect(argv);
  program = argv[0];
  struct sigaction action = {.sa_handler = on_signal};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  CHECK(signal(SIGHUP, SIG_IGN) != SIG_ERR);
  CHECK_OK(setenv("TEST_WORD", "kept", 1));
  be_threaded();
  for (int way = 0; way < 2; ++way) {
    CHECK_OK(pipe(kept));
    CHECK_OK(pipe2(closed, O_CLOEXEC));
    pid_t child = fork();
    CHECK_OK(child);
    if (child == 0) {
      for (int i = 0; i < 5; ++i) start_thread(waits, NULL);
      settle();
      if (way == 0) {
        pthread_join(start_thread(executes, NULL), NULL);
      } else {
        executes(NULL);
      }
      _exit(1);
    }
    CHECK_OK(close(kept[1]));
    char text[3] = {0};
    read_all(kept[0], text, 2);
    CHECK_STR("ok", text);
    CHECK_EXITED(33, child);
    CHECK_OK(close(kept[0]));
    CHECK_OK(close(closed[0]));
    CHECK_OK(close(closed[1]));
    pass(way == 0 ? "from a thread" : "from the main thread, beside others");
  }
  return 0;
}
