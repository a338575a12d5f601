// waitpid in several threads: each gets the status of its child, those who wait for any child share
// them out, and a wait is interrupted by a signal.
#include "check.h"

enum { kThreads = 10 };

static volatile sig_atomic_t handled;
static int collected[64];

static void on_signal(int number) {
  (void)number;
  ++handled;
}

static pid_t make_child(int code, int delay_ms) {
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    usleep((useconds_t)delay_ms * 1000);
    _exit(code);
  }
  return child;
}

static void* waits_for_own(void* argument) {
  int id = (int)(intptr_t)argument, status;
  for (int i = 0; i < 3; ++i) {
    pid_t child = make_child(id + i, (id * 7 + i * 3) % 20);
    CHECK_EQ(child, waitpid(child, &status, 0));
    CHECK(WIFEXITED(status));
    CHECK_EQ(id + i, WEXITSTATUS(status));
    CHECK_ERRNO(ECHILD, waitpid(child, &status, 0));
  }
  return argument;
}

static void* waits_for_any(void* argument) {
  for (;;) {
    int status;
    pid_t child = wait(&status);
    if (child == -1) {
      CHECK_EQ(ECHILD, errno);
      return argument;
    }
    CHECK(WIFEXITED(status));
    __atomic_add_fetch(&collected[WEXITSTATUS(status)], 1, __ATOMIC_SEQ_CST);
  }
}

static void* is_interrupted(void* argument) {
  CHECK_ERRNO(EINTR, waitpid(*(pid_t*)argument, NULL, 0));
  return NULL;
}

int main(void) {
  be_threaded();
  pthread_t threads[kThreads];
  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = start_thread(waits_for_own, (void*)i);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  pass("each waits for its own");

  for (int i = 0; i < 40; ++i) make_child(i, i % 15);
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(waits_for_any, NULL);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  for (int i = 0; i < 40; ++i) CHECK_EQ(1, collected[i]);
  pass("any child, each once");

  struct sigaction action = {.sa_handler = on_signal};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  pid_t child = make_child(0, 60000);
  int status = -1;
  CHECK_EQ(0, waitpid(child, &status, WNOHANG));
  pthread_t thread = start_thread(is_interrupted, &child);
  for (int i = 0; pthread_tryjoin_np(thread, NULL) == EBUSY; ++i) {
    CHECK(i < kBoundMs / 2);
    CHECK_RC(pthread_kill(thread, SIGUSR1));
    usleep(2000);
  }
  CHECK(handled > 0);
  CHECK_OK(kill(child, SIGKILL));
  CHECK_EQ(child, waitpid(child, &status, 0));
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  pass("interrupted");

  child = make_child(9, 5);
  CHECK_EQ(child, waitpid(-1, &status, 0));
  CHECK_ERRNO(ECHILD, waitpid(-1, &status, WNOHANG));
  CHECK_ERRNO(EINVAL, waitpid(-1, &status, 0x100));
  pass("errors");
  return 0;
}
