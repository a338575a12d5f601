// vfork and fork followed by exec, from threads, while others go on.
#include "check.h"

static void* vforks(void* argument) {
  for (int i = 0; i < 10; ++i) {
    volatile int shared = 1;
    pid_t child = vfork();
    CHECK_OK(child);
    if (child == 0) {
      shared = 2;  // the memory is the parent's
      execl("/bin/sh", "sh", "-c", "exit 17", (char*)NULL);
      _exit(126);
    }
    CHECK_EQ(2, shared);
    CHECK_EXITED(17, child);

    child = vfork();
    CHECK_OK(child);
    if (child == 0) {
      shared = 3;
      execl("/nonexistent/program", "program", (char*)NULL);
      shared = errno;
      _exit(18);
    }
    CHECK_EQ(ENOENT, shared);
    CHECK_EXITED(18, child);
    CHECK_EQ(getpid(), (pid_t)syscall(SYS_getpid));
  }
  return argument;
}

static void* forks(void* argument) {
  for (int i = 0; i < 10; ++i) {
    int ends[2];
    CHECK_OK(pipe2(ends, O_CLOEXEC));
    pid_t child = fork();
    CHECK_OK(child);
    if (child == 0) {
      dup2(ends[1], 1);
      char* const arguments[] = {"sh", "-c", "echo $WORD; exit 19", NULL};
      char* const environment[] = {"WORD=from-the-child", NULL};
      execve("/bin/sh", arguments, environment);
      _exit(126);
    }
    CHECK_OK(close(ends[1]));
    char text[32] = {0};
    read_all(ends[0], text, 15);
    CHECK_STR("from-the-child\n", text);
    CHECK_EQ(0, read(ends[0], text, 1));
    CHECK_OK(close(ends[0]));
    CHECK_EXITED(19, child);
  }
  return argument;
}

static int stop;

static void* works_on(void* argument) {
  int ends[2];
  CHECK_OK(pipe2(ends, O_CLOEXEC));
  for (int i = 0; !__atomic_load_n(&stop, __ATOMIC_SEQ_CST); ++i) {
    char c = (char)i;
    CHECK_EQ(1, write(ends[1], &c, 1));
    CHECK_EQ(1, read(ends[0], &c, 1));
    CHECK_EQ((char)i, c);
    free(malloc((size_t)(i % 1000)));
    usleep(200);
  }
  return argument;
}

int main(void) {
  pthread_t workers[3], threads[3];
  for (int i = 0; i < 3; ++i) workers[i] = start_thread(works_on, NULL);
  for (int i = 0; i < 3; ++i) threads[i] = start_thread(vforks, NULL);
  for (int i = 0; i < 3; ++i) join_thread(threads[i]);
  pass("vfork");
  for (int i = 0; i < 3; ++i) threads[i] = start_thread(forks, NULL);
  for (int i = 0; i < 3; ++i) join_thread(threads[i]);
  pass("fork");
  vforks(NULL);
  forks(NULL);
  pass("in the main thread");
  __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
  for (int i = 0; i < 3; ++i) join_thread(workers[i]);
  return 0;
}
