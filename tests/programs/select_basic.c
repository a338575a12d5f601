// select and pselect: sets, timeouts and what remains of them, errors, several threads.
#include <sys/select.h>

#include "check.h"

static int ends[2], full[2];

static void* writes_late(void* argument) {
  settle();
  CHECK_EQ(1, write(ends[1], "x", 1));
  return argument;
}

static void* selects(void* argument) {
  fd_set in, out;
  int id = (int)(intptr_t)argument;
  for (int round = 0; round < 10; ++round) {
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(ends[0], &in);
    FD_SET(full[1], &out);
    struct timeval t = {0, 2000 + id * 100};
    int64_t begin = mono_ns();
    CHECK_EQ(0, select(full[1] + 1, &in, &out, NULL, &t));
    CHECK_BETWEEN(US(2000 + id * 100), mono_ns() - begin, MS(10000));
    CHECK(!FD_ISSET(ends[0], &in) && !FD_ISSET(full[1], &out));
    CHECK_EQ(0, t.tv_sec);
    CHECK_EQ(0, t.tv_usec);
  }
  return argument;
}

int main(void) {
  be_threaded();
  fd_set in, out, except;
  CHECK_OK(pipe(ends));
  CHECK_OK(pipe2(full, O_NONBLOCK));
  while (write(full[1], full, 1) == 1) {
  }

  FD_ZERO(&in);
  FD_SET(ends[0], &in);
  pthread_t writer = start_thread(writes_late, NULL);
  struct timeval limit = {30, 0};
  CHECK_EQ(1, select(ends[0] + 1, &in, NULL, NULL, &limit));
  CHECK(FD_ISSET(ends[0], &in));
  CHECK(limit.tv_sec < 30);  // Linux stores what remains
  join_thread(writer);
  pass("woken by a write");

  FD_ZERO(&in);
  FD_ZERO(&out);
  FD_ZERO(&except);
  FD_SET(ends[0], &in);
  FD_SET(full[0], &in);
  FD_SET(ends[1], &out);
  FD_SET(full[1], &out);
  FD_SET(ends[0], &except);
  CHECK_EQ(3, select(FD_SETSIZE, &in, &out, &except, NULL));
  CHECK(FD_ISSET(ends[0], &in) && FD_ISSET(full[0], &in));
  CHECK(FD_ISSET(ends[1], &out) && !FD_ISSET(full[1], &out));
  CHECK(!FD_ISSET(ends[0], &except));
  pass("several sets");

  FD_ZERO(&in);
  FD_SET(ends[0], &in);
  CHECK_EQ(0, select(ends[0], &in, NULL, NULL, &(struct timeval){0, 0}));  // beyond nfds
  CHECK(!FD_ISSET(ends[0], &in));
  char c;
  CHECK_EQ(1, read(ends[0], &c, 1));
  CHECK_OK(close(full[1]));
  FD_ZERO(&in);
  FD_SET(full[0], &in);
  char rest[4096];
  while (read(full[0], rest, sizeof rest) > 0) {
  }
  CHECK_EQ(1, select(full[0] + 1, &in, NULL, NULL, NULL));  // the end of file is readable
  pass("nfds and the end of file");

  FD_ZERO(&in);
  FD_SET(full[0], &in);
  CHECK_OK(close(full[0]));
  CHECK_ERRNO(EBADF, select(full[0] + 1, &in, NULL, NULL, NULL));
  CHECK_ERRNO(EINVAL, select(-1, NULL, NULL, NULL, NULL));
  CHECK_ERRNO(EINVAL, select(0, NULL, NULL, NULL, &(struct timeval){-1, 0}));
  CHECK_ERRNO(EINVAL, pselect(0, NULL, NULL, NULL, &(struct timespec){0, 1000000000}, NULL));
  pass("errors");

  int64_t begin = mono_ns();
  CHECK_EQ(0, select(0, NULL, NULL, NULL, &(struct timeval){0, 20000}));
  CHECK_BETWEEN(MS(20), mono_ns() - begin, MS(5000));
  struct timespec t = {0, 700000};
  begin = mono_ns();
  CHECK_EQ(0, pselect(0, NULL, NULL, NULL, &t, NULL));
  CHECK_BETWEEN(US(700), mono_ns() - begin, MS(5000));
  CHECK_EQ(700000, t.tv_nsec);  // pselect leaves it alone
  pass("as a sleep");

  CHECK_OK(pipe2(full, O_NONBLOCK));
  while (write(full[1], full, 1) == 1) {
  }
  pthread_t threads[10];
  for (intptr_t i = 0; i < 10; ++i) threads[i] = start_thread(selects, (void*)i);
  for (int i = 0; i < 10; ++i) join_thread(threads[i]);
  pass("timeouts in several threads");
  return 0;
}
