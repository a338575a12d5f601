// poll: readiness, hang-ups, invalid and negative descriptors, regular files, timeouts.
#include "check.h"

static int ends[2];

static void* writes_late(void* argument) {
  settle();
  CHECK_EQ(1, write(ends[1], "x", 1));
  return argument;
}

int main(void) {
  be_threaded();
  CHECK_OK(pipe(ends));

  struct pollfd p = {ends[0], POLLIN, -1};
  CHECK_EQ(0, poll(&p, 1, 0));
  CHECK_EQ(0, p.revents);
  int64_t begin = mono_ns();
  CHECK_EQ(0, poll(&p, 1, 30));
  CHECK_BETWEEN(MS(30), mono_ns() - begin, MS(3000));
  begin = mono_ns();
  CHECK_EQ(0, poll(NULL, 0, 30));
  CHECK_BETWEEN(MS(30), mono_ns() - begin, MS(3000));
  struct timespec t = {0, 300000};
  begin = mono_ns();
  CHECK_EQ(0, ppoll(&p, 1, &t, NULL));
  CHECK_BETWEEN(US(300), mono_ns() - begin, MS(3000));
  CHECK_EQ(300000, t.tv_nsec);
  pass("timeouts");

  pthread_t thread = start_thread(writes_late, NULL);
  CHECK_EQ(1, poll(&p, 1, kBoundMs));
  CHECK_EQ(POLLIN, p.revents);
  join_thread(thread);
  CHECK_EQ(1, poll(&p, 1, -1));
  pass("woken by a write");

  struct pollfd several[4] = {
      {-1, POLLIN, -1}, {ends[0], POLLIN | POLLOUT, -1}, {ends[1], POLLOUT, -1}, {-7, POLLOUT, -1}};
  CHECK_EQ(2, poll(several, 4, -1));
  CHECK_EQ(0, several[0].revents);
  CHECK_EQ(POLLIN, several[1].revents);
  CHECK_EQ(POLLOUT, several[2].revents);
  CHECK_EQ(0, several[3].revents);
  pass("negative descriptors are ignored");

  int closed = dup(ends[0]);
  CHECK_OK(close(closed));
  struct pollfd invalid = {closed, POLLIN, 0};
  CHECK_EQ(1, poll(&invalid, 1, -1));
  CHECK_EQ(POLLNVAL, invalid.revents);
  invalid.events = 0;
  CHECK_EQ(1, poll(&invalid, 1, -1));
  CHECK_EQ(POLLNVAL, invalid.revents);
  pass("a closed descriptor gives POLLNVAL");

  int file = open("/proc/self/exe", O_RDONLY);
  CHECK_OK(file);
  struct pollfd regular = {file, POLLIN | POLLOUT, 0};
  CHECK_EQ(1, poll(&regular, 1, -1));
  CHECK_EQ(POLLIN | POLLOUT, regular.revents);
  pass("a regular file is always ready");

  char c;
  CHECK_EQ(1, read(ends[0], &c, 1));
  CHECK_OK(close(ends[1]));
  CHECK_EQ(1, poll(&p, 1, -1));
  CHECK_EQ(POLLHUP, p.revents);
  p.events = 0;
  CHECK_EQ(1, poll(&p, 1, -1));
  CHECK_EQ(POLLHUP, p.revents);
  CHECK_OK(close(ends[0]));
  CHECK_OK(pipe(ends));
  CHECK_OK(close(ends[0]));
  struct pollfd broken = {ends[1], 0, 0};
  CHECK_EQ(1, poll(&broken, 1, -1));
  CHECK_EQ(POLLERR, broken.revents);
  pass("the other end of a pipe is gone");

  int pair[2];
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  CHECK_OK(shutdown(pair[1], SHUT_WR));
  struct pollfd half = {pair[0], POLLRDHUP, 0};
  CHECK_EQ(1, poll(&half, 1, -1));
  CHECK_EQ(POLLRDHUP, half.revents);
  half.events = POLLIN | POLLRDHUP | POLLOUT;
  CHECK_EQ(1, poll(&half, 1, -1));
  CHECK_EQ(POLLIN | POLLRDHUP | POLLOUT, half.revents);
  CHECK_OK(close(pair[1]));
  CHECK_EQ(1, poll(&half, 1, -1));
  CHECK_EQ(POLLIN | POLLRDHUP | POLLOUT | POLLHUP, half.revents);
  pass("half and full hang-up of a socket");

  struct timespec bad = {0, 1000000000};
  CHECK_ERRNO(EINVAL, ppoll(&half, 1, &bad, NULL));
  CHECK_ERRNO(EFAULT, syscall(SYS_poll, 1L, 1L, 0L));
  pass("bad arguments");
  return 0;
}
