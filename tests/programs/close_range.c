// What daemons do to descriptors: close_range and closing every number leave the process able to
// go on, and the lowest free number is given out.
#include <linux/close_range.h>
#include <sys/resource.h>

#include "check.h"

static int is_open(int fd) { return fcntl(fd, F_GETFD) != -1; }

static void* works(void* argument) {
  int ends[2];
  char c;
  CHECK_OK(pipe(ends));
  CHECK_EQ(1, write(ends[1], "x", 1));
  CHECK_EQ(1, read(ends[0], &c, 1));
  CHECK_OK(usleep(100));
  CHECK_EQ(0, poll(&(struct pollfd){ends[0], POLLIN, 0}, 1, 1));
  CHECK_OK(close(ends[0]));
  CHECK_OK(close(ends[1]));
  return argument;
}

static void* waits(void* argument) {
  struct timespec t = {0, 200000000};
  CHECK_OK(nanosleep(&t, NULL));
  return argument;
}

int main(void) {
  pthread_t sleeper = start_thread(waits, NULL);
  join_thread(start_thread(works, NULL));

  for (int fd = 20; fd < 40; ++fd) CHECK_EQ(fd, dup2(1, fd));
  CHECK_OK(close_range(20, 29, 0));
  for (int fd = 20; fd < 40; ++fd) CHECK_EQ(fd >= 30, is_open(fd));
  CHECK_OK(close_range(30, 35, CLOSE_RANGE_CLOEXEC));
  for (int fd = 30; fd < 40; ++fd) CHECK_EQ(fd <= 35 ? FD_CLOEXEC : 0, fcntl(fd, F_GETFD));
  CHECK_ERRNO(EINVAL, close_range(10, 5, 0));
  CHECK_OK(close_range(3, ~0u, 0));
  for (int fd = 3; fd < 100; ++fd) CHECK(!is_open(fd));
  join_thread(start_thread(works, NULL));
  join_thread(sleeper);
  pass("close_range");

  int first = dup(1), second = dup(1);
  CHECK_EQ(3, first);
  CHECK_EQ(4, second);
  CHECK_OK(close(first));
  CHECK_EQ(3, open("/dev/null", O_RDONLY));
  CHECK_EQ(50, fcntl(1, F_DUPFD, 50));
  CHECK_EQ(5, dup(1));
  pass("the lowest free number");

  struct rlimit limit;
  CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
  sleeper = start_thread(waits, NULL);
  for (int fd = 3; fd < (int)limit.rlim_cur && fd < 70000; ++fd) close(fd);
  closefrom(3);
  join_thread(start_thread(works, NULL));
  join_thread(sleeper);
  pass("closing every number");

  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    for (int fd = 3; fd < (int)limit.rlim_cur && fd < 70000; ++fd) close(fd);
    join_thread(start_thread(works, NULL));
    works(NULL);
    _exit(0);
  }
  CHECK_EXITED(0, child);
  pass("in a child");
  return 0;
}
