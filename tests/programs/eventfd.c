// eventfd: reads block until it is written, writes block while it is full, semaphores count down.
#include <sys/eventfd.h>

#include "check.h"

enum { kThreads = 10 };

static int fd;
static uint64_t sum;

static void* adds(void* argument) {
  for (uint64_t i = 1; i <= 100; ++i) CHECK_OK(eventfd_write(fd, i));
  return argument;
}

static void* reads_once(void* argument) {
  uint64_t value = 0;
  CHECK_EQ(8, read(fd, &value, sizeof value));
  __atomic_add_fetch(&sum, value, __ATOMIC_SEQ_CST);
  return argument;
}

static void* fills(void* argument) {
  CHECK_OK(eventfd_write(fd, 5));  // blocks: the counter is at its limit
  return argument;
}

int main(void) {
  pthread_t threads[kThreads];
  fd = eventfd(0, 0);
  CHECK_OK(fd);
  pthread_t reader = start_thread(reads_once, NULL);
  settle();
  CHECK_EQ(EBUSY, pthread_tryjoin_np(reader, NULL));
  CHECK_OK(eventfd_write(fd, 41));
  join_thread(reader);
  CHECK_EQ(41, sum);
  pass("a blocked read");

  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(adds, NULL);
  uint64_t total = 0, value;
  while (total < kThreads * 5050) {
    wait_ready(fd, POLLIN);
    CHECK_OK(eventfd_read(fd, &value));
    total += value;
  }
  CHECK_EQ(kThreads * 5050, total);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  pass("a counter for many writers");

  CHECK_OK(eventfd_write(fd, UINT64_MAX - 1));
  struct pollfd p = {fd, POLLIN | POLLOUT, 0};
  CHECK_EQ(1, poll(&p, 1, 0));
  CHECK_EQ(POLLIN, p.revents);
  pthread_t writer = start_thread(fills, NULL);
  settle();
  CHECK_EQ(EBUSY, pthread_tryjoin_np(writer, NULL));
  CHECK_OK(eventfd_read(fd, &value));
  CHECK_EQ((long long)(UINT64_MAX - 1), value);
  join_thread(writer);
  CHECK_OK(eventfd_read(fd, &value));
  CHECK_EQ(5, value);
  pass("a blocked write");

  uint64_t most = UINT64_MAX;
  CHECK_ERRNO(EINVAL, write(fd, &most, 8));
  CHECK_ERRNO(EINVAL, write(fd, &most, 4));
  CHECK_ERRNO(EINVAL, read(fd, &most, 4));
  pass("bad arguments");

  fd = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC);
  CHECK_OK(fd);
  sum = 0;
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(reads_once, NULL);
  CHECK_OK(eventfd_write(fd, 3));
  settle();
  CHECK_OK(eventfd_write(fd, kThreads - 3));
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_EQ(kThreads, sum);
  CHECK_EQ(0, poll(&(struct pollfd){fd, POLLIN, 0}, 1, 0));
  pass("a semaphore");
  return 0;
}
