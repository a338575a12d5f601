// An epoll set inside another epoll set, inside poll and inside select; and a set reached through a
// dup of its descriptor.
#include <sys/epoll.h>
#include <sys/select.h>

#include "check.h"

static int ends[2], inner, outer;

static void add(int set, int fd, uint32_t tag) {
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = tag};
  CHECK_OK(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
}

static void* waits_outside(void* argument) {
  struct epoll_event event;
  CHECK_EQ(1, epoll_wait(outer, &event, 1, kBoundMs));
  CHECK_EQ(22, event.data.u32);
  CHECK_EQ(1, epoll_wait(inner, &event, 1, 0));
  CHECK_EQ(11, event.data.u32);
  return argument;
}

static void* polls(void* argument) {
  struct pollfd p = {inner, POLLIN, 0};
  CHECK_EQ(1, poll(&p, 1, kBoundMs));
  CHECK_EQ(POLLIN, p.revents);
  return argument;
}

static void* selects(void* argument) {
  fd_set set;
  FD_ZERO(&set);
  FD_SET(outer, &set);
  struct timeval limit = {kBoundMs / 1000, 0};
  CHECK_EQ(1, select(outer + 1, &set, NULL, NULL, &limit));
  return argument;
}

static void* waits_through_dup(void* argument) {
  struct epoll_event event;
  int copy = dup(inner);
  CHECK_OK(copy);
  CHECK_EQ(1, epoll_wait(copy, &event, 1, kBoundMs));
  CHECK_EQ(11, event.data.u32);
  CHECK_OK(close(copy));
  return argument;
}

static void wake(void* (*body)(void*)) {
  char c;
  pthread_t thread = start_thread(body, NULL);
  settle();
  CHECK_EQ(EBUSY, pthread_tryjoin_np(thread, NULL));
  CHECK_EQ(1, write(ends[1], "x", 1));
  join_thread(thread);
  CHECK_EQ(1, read(ends[0], &c, 1));
}

int main(void) {
  be_threaded();
  CHECK_OK(pipe(ends));
  inner = epoll_create1(0);
  outer = epoll_create1(0);
  CHECK_OK(inner);
  CHECK_OK(outer);
  add(inner, ends[0], 11);
  add(outer, inner, 22);
  wake(waits_outside);
  pass("epoll in epoll");
  wake(polls);
  pass("epoll in poll");
  wake(selects);
  pass("epoll in epoll in select");
  wake(waits_through_dup);
  pass("through a dup");

  int copy = dup(inner);
  CHECK_OK(copy);
  CHECK_OK(epoll_ctl(copy, EPOLL_CTL_DEL, ends[0], NULL));  // the same set
  struct epoll_event event;
  CHECK_EQ(1, write(ends[1], "x", 1));
  CHECK_EQ(0, epoll_wait(inner, &event, 1, 10));
  add(copy, ends[0], 11);
  CHECK_OK(close(copy));
  CHECK_EQ(1, epoll_wait(inner, &event, 1, kBoundMs));
  event.events = EPOLLIN;
  CHECK_ERRNO(ELOOP, epoll_ctl(inner, EPOLL_CTL_ADD, outer, &event));
  pass("changed through a dup");
  return 0;
}
