// The way of daemons: fork, setsid, fork again; the grandchild outlives the child, makes threads
// and reports. And libc's daemon().
#include "check.h"

static void* adds(void* argument) {
  usleep(2000);
  __atomic_add_fetch((int*)argument, 7, __ATOMIC_SEQ_CST);
  return argument;
}

static int work_in_threads(void) {
  int sum = 0;
  pthread_t threads[6];
  for (int i = 0; i < 6; ++i) threads[i] = start_thread(adds, &sum);
  for (int i = 0; i < 6; ++i) join_thread(threads[i]);
  return sum;
}

static void* daemonises(void* argument) {
  int report[2];
  CHECK_OK(pipe(report));
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    CHECK_OK(setsid());
    if (argument) CHECK_EQ(42, work_in_threads());
    pid_t grandchild = fork();
    CHECK_OK(grandchild);
    if (grandchild > 0) _exit(0);
    int sum = work_in_threads();
    CHECK(getsid(0) != getpid());
    CHECK_EQ(sizeof sum, write(report[1], &sum, sizeof sum));
    _exit(0);
  }
  CHECK_EXITED(0, child);
  CHECK_OK(close(report[1]));
  int sum = 0;
  read_all(report[0], &sum, sizeof sum);
  CHECK_EQ(42, sum);
  CHECK_EQ(0, read(report[0], &sum, 1));
  CHECK_OK(close(report[0]));
  return NULL;
}

int main(void) {
  pthread_t threads[3];
  for (int i = 0; i < 3; ++i) threads[i] = start_thread(daemonises, i ? &threads : NULL);
  for (int i = 0; i < 3; ++i) join_thread(threads[i]);
  daemonises(NULL);
  pass("a grandchild with threads");

  int report[2];
  CHECK_OK(pipe(report));
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    CHECK_EQ(42, work_in_threads());
    CHECK_OK(daemon(0, 1));
    char directory[64];
    CHECK(getcwd(directory, sizeof directory) != NULL);
    CHECK_STR("/", directory);
    int sum = work_in_threads();
    CHECK_EQ(sizeof sum, write(report[1], &sum, sizeof sum));
    _exit(0);
  }
  CHECK_EXITED(0, child);
  CHECK_OK(close(report[1]));
  int sum = 0;
  read_all(report[0], &sum, sizeof sum);
  CHECK_EQ(42, sum);
  pass("daemon");

  child = fork();
  CHECK_OK(child);
  if (child == 0) {  // a chain of processes, each with threads
    for (int depth = 0; depth < 5; ++depth) {
      CHECK_EQ(42, work_in_threads());
      pid_t next = fork();
      CHECK_OK(next);
      if (next > 0) {
        CHECK_EXITED(50, next);
        _exit(50);
      }
    }
    _exit(50);
  }
  CHECK_EXITED(50, child);
  pass("a chain of forks");
  return 0;
}
