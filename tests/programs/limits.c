// Limits, as a program meets them: how many threads, how many descriptors, how large a stack.
#include <sys/resource.h>

#include "check.h"

static void* waits_for_end(void* argument) {
  sem_take(argument);
  return NULL;
}

// In a process of its own: the limit does not hold for root.
static void threads_of_a_user(void) {
  enum { kLimit = 8 };
  if (getuid() != 0) _exit(0);  // there may be any number of processes of this user
  CHECK_OK(setuid(54321));
  const struct rlimit limit = {kLimit, kLimit};
  CHECK_OK(setrlimit(RLIMIT_NPROC, &limit));
  sem_t end;
  CHECK_OK(sem_init(&end, 0, 0));
  pthread_t threads[kLimit];
  int made = 0;
  int rc = 0;
  while (made < kLimit && (rc = pthread_create(&threads[made], NULL, waits_for_end, &end)) == 0) {
    ++made;
  }
  CHECK_EQ(EAGAIN, rc);
  CHECK_EQ(kLimit - 1, made);
  for (int i = 0; i < made; ++i) CHECK_OK(sem_post(&end));
  for (int i = 0; i < made; ++i) join_thread(threads[i]);
  // There is room again.
  int64_t deadline = mono_ns() + MS(kBoundMs);
  while ((rc = pthread_create(&threads[0], NULL, do_nothing, NULL)) == EAGAIN) {
    CHECK(mono_ns() < deadline);
    settle();
  }
  CHECK_RC(rc);
  join_thread(threads[0]);
  _exit(0);
}

static void* uses_descriptors(void* argument) {
  struct rlimit limit;
  CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = 40;
  CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
  int last = 0;
  int fd;
  while ((fd = open("/dev/null", O_RDONLY)) >= 0) last = fd;
  CHECK_EQ(EMFILE, errno);
  CHECK_EQ(39, last);
  int ends[2];
  CHECK_ERRNO(EMFILE, pipe(ends));
  CHECK_ERRNO(EMFILE, socket(AF_UNIX, SOCK_STREAM, 0));
  CHECK_ERRNO(EMFILE, dup(0));
  CHECK_ERRNO(EBADF, dup2(0, 40));
  close(39);
  CHECK_ERRNO(EMFILE, pipe(ends));
  CHECK_EQ(39, dup(0));
  for (int i = 3; i < 40; ++i) close(i);
  limit.rlim_cur = before;
  CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
  return argument;
}

static void* writes_late(void* argument) {
  settle();
  CHECK_EQ(1, write((int)(intptr_t)argument, "x", 1));
  return NULL;
}

// The highest number that is allowed: 900,000 where a process may have a million.
static void* uses_high_descriptors(void* argument) {
  struct rlimit limit;
  CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
  limit.rlim_cur = limit.rlim_max;
  CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
  const int high = limit.rlim_max > 900000 ? 900000 : (int)limit.rlim_max - 100;
  int ends[2];
  CHECK_OK(pipe(ends));
  CHECK_EQ(high, dup2(ends[0], high));
  CHECK_EQ(high + 1, fcntl(ends[1], F_DUPFD, high + 1));
  close(ends[0]);
  close(ends[1]);
  pthread_t writer = start_thread(writes_late, (void*)(intptr_t)(high + 1));
  char c;
  CHECK_EQ(1, read(high, &c, 1));
  join_thread(writer);
  writer = start_thread(writes_late, (void*)(intptr_t)(high + 1));
  struct pollfd p = {high, POLLIN, 0};
  CHECK_EQ(1, poll(&p, 1, kBoundMs));
  join_thread(writer);
  CHECK_OK(close(high));
  CHECK_OK(close(high + 1));
  CHECK_ERRNO(EBADF, read(high, &c, 1));
  return argument;
}

int main(void) {
  be_threaded();
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) threads_of_a_user();
  CHECK_EXITED(0, child);
  pass("RLIMIT_NPROC");

  join_thread(start_thread(uses_descriptors, NULL));
  pass("RLIMIT_NOFILE");
  join_thread(start_thread(uses_high_descriptors, NULL));
  pass("descriptors with high numbers");

  pthread_attr_t attr;
  CHECK_RC(pthread_attr_init(&attr));
  CHECK_RC(pthread_attr_setstacksize(&attr, (size_t)1 << 46));
  pthread_t thread;
  CHECK_EQ(EAGAIN, pthread_create(&thread, &attr, do_nothing, NULL));
  const struct rlimit space = {(rlim_t)1 << 32, RLIM_INFINITY};
  struct rlimit before;
  CHECK_OK(getrlimit(RLIMIT_AS, &before));
  CHECK_OK(setrlimit(RLIMIT_AS, &space));
  CHECK_RC(pthread_attr_setstacksize(&attr, (size_t)1 << 33));
  CHECK_EQ(EAGAIN, pthread_create(&thread, &attr, do_nothing, NULL));
  CHECK_OK(setrlimit(RLIMIT_AS, &before));
  be_threaded();
  pass("a stack that is too large");
  return 0;
}
