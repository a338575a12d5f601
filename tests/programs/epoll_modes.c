// epoll: level-triggered, edge-triggered and one-shot registrations, changes and removals, with a
// waiting thread.
#include <sys/epoll.h>

#include "check.h"

static int epoll_fd, pair[2];

static void control(int op, int fd, uint32_t events, uint32_t tag) {
  struct epoll_event event = {.events = events, .data.u32 = tag};
  CHECK_OK(epoll_ctl(epoll_fd, op, fd, &event));
}

// The events that are there, or 0.
static uint32_t wait_for(int ms, uint32_t tag) {
  struct epoll_event event = {0};
  int n = epoll_wait(epoll_fd, &event, 1, ms);
  CHECK_OK(n);
  if (n == 1) CHECK_EQ(tag, event.data.u32);
  return n == 1 ? event.events : 0;
}

static void* writes_late(void* argument) {
  settle();
  CHECK_EQ(1, write(pair[1], "x", 1));
  return argument;
}

static void write_while_waiting(uint32_t tag) {
  pthread_t thread = start_thread(writes_late, NULL);
  CHECK_EQ(EPOLLIN, wait_for(kBoundMs, tag));
  join_thread(thread);
}

static void drain(void) {
  char buffer[64];
  while (recv(pair[0], buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
  }
}

int main(void) {
  be_threaded();
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  CHECK_OK(epoll_fd);
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));

  control(EPOLL_CTL_ADD, pair[0], EPOLLIN, 1);
  CHECK_EQ(0, wait_for(0, 1));
  write_while_waiting(1);
  CHECK_EQ(EPOLLIN, wait_for(0, 1));
  CHECK_EQ(EPOLLIN, wait_for(-1, 1));
  drain();
  CHECK_EQ(0, wait_for(0, 1));
  pass("level-triggered");

  control(EPOLL_CTL_MOD, pair[0], EPOLLIN | EPOLLET, 2);
  write_while_waiting(2);
  CHECK_EQ(0, wait_for(0, 2));
  CHECK_EQ(1, write(pair[1], "y", 1));  // a new edge, although the first byte is still there
  CHECK_EQ(EPOLLIN, wait_for(-1, 2));
  CHECK_EQ(0, wait_for(10, 2));
  control(EPOLL_CTL_MOD, pair[0], EPOLLIN | EPOLLET, 3);  // told again after a change
  CHECK_EQ(EPOLLIN, wait_for(-1, 3));
  drain();
  CHECK_EQ(0, wait_for(0, 3));
  pass("edge-triggered");

  control(EPOLL_CTL_MOD, pair[0], EPOLLIN | EPOLLONESHOT, 4);
  write_while_waiting(4);
  CHECK_EQ(0, wait_for(0, 4));
  CHECK_EQ(1, write(pair[1], "z", 1));
  CHECK_EQ(0, wait_for(10, 4));
  control(EPOLL_CTL_MOD, pair[0], EPOLLIN | EPOLLONESHOT, 5);
  CHECK_EQ(EPOLLIN, wait_for(-1, 5));
  drain();
  pass("one-shot");

  control(EPOLL_CTL_MOD, pair[0], EPOLLOUT, 6);
  CHECK_EQ(EPOLLOUT, wait_for(-1, 6));
  control(EPOLL_CTL_MOD, pair[0], EPOLLIN | EPOLLRDHUP, 7);
  CHECK_EQ(0, wait_for(0, 7));
  CHECK_OK(shutdown(pair[1], SHUT_WR));
  CHECK_EQ(EPOLLIN | EPOLLRDHUP, wait_for(-1, 7));
  CHECK_OK(close(pair[1]));
  CHECK_EQ(EPOLLIN | EPOLLRDHUP | EPOLLHUP, wait_for(-1, 7));
  CHECK_OK(epoll_ctl(epoll_fd, EPOLL_CTL_DEL, pair[0], NULL));
  CHECK_EQ(0, wait_for(0, 7));
  pass("changed, hung up, removed");

  control(EPOLL_CTL_ADD, pair[0], EPOLLIN, 8);
  CHECK_OK(close(pair[0]));
  CHECK_EQ(0, wait_for(0, 8));
  pass("gone with the last descriptor");

  struct epoll_event event = {.events = EPOLLIN};
  int ends[2], file = open("/proc/self/exe", O_RDONLY);
  CHECK_OK(pipe(ends));
  CHECK_ERRNO(EPERM, epoll_ctl(epoll_fd, EPOLL_CTL_ADD, file, &event));
  CHECK_ERRNO(ENOENT, epoll_ctl(epoll_fd, EPOLL_CTL_MOD, ends[0], &event));
  CHECK_ERRNO(ENOENT, epoll_ctl(epoll_fd, EPOLL_CTL_DEL, ends[0], &event));
  CHECK_OK(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, ends[0], &event));
  CHECK_ERRNO(EEXIST, epoll_ctl(epoll_fd, EPOLL_CTL_ADD, ends[0], &event));
  CHECK_ERRNO(EINVAL, epoll_ctl(epoll_fd, EPOLL_CTL_ADD, epoll_fd, &event));
  CHECK_ERRNO(EINVAL, epoll_wait(epoll_fd, &event, 0, 0));
  CHECK_ERRNO(EINVAL, epoll_wait(ends[0], &event, 1, 0));
  CHECK_ERRNO(EBADF, epoll_wait(-1, &event, 1, 0));
  CHECK_ERRNO(EFAULT, epoll_ctl(epoll_fd, EPOLL_CTL_MOD, ends[0], NULL));
  pass("errors");
  return 0;
}
