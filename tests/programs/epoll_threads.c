// Several threads wait on epoll sets: woken by another thread's write or registration, each event
// delivered once, timeouts kept.
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "check.h"

enum { kThreads = 8, kFds = 100, kRounds = 20 };

static int epoll_fd;
static int fds[kFds][2];
static int seen[kFds];
static int total, stop_fd;

static void add(int set, int fd, uint32_t events, uint32_t tag) {
  struct epoll_event event = {.events = events, .data.u32 = tag};
  CHECK_OK(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
}

static void* serves(void* argument) {
  struct epoll_event events[5];
  for (;;) {
    int n = epoll_wait(epoll_fd, events, 5, kBoundMs);
    CHECK(n > 0);
    for (int i = 0; i < n; ++i) {
      uint32_t tag = events[i].data.u32;
      if (tag == kFds) return argument;
      char c;
      CHECK_EQ(1, read(fds[tag][0], &c, 1));
      CHECK_EQ(1, __atomic_add_fetch(&seen[tag], 1, __ATOMIC_SEQ_CST));
      __atomic_sub_fetch(&seen[tag], 1, __ATOMIC_SEQ_CST);
      __atomic_add_fetch(&total, 1, __ATOMIC_SEQ_CST);
      struct epoll_event again = {.events = EPOLLIN | EPOLLONESHOT, .data.u32 = tag};
      CHECK_OK(epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fds[tag][0], &again));
    }
  }
}

static void* writes(void* argument) {
  for (intptr_t i = (intptr_t)argument; i < kFds; i += 4) {
    for (int round = 0; round < kRounds; ++round) {
      CHECK_EQ(1, write(fds[i][1], "x", 1));
      if ((i + round) % 10 == 0) usleep(100);
    }
  }
  return argument;
}

static void* waits_once(void* argument) {
  struct epoll_event event;
  CHECK_EQ(1, epoll_wait(*(int*)argument, &event, 1, kBoundMs));
  CHECK_EQ(5, event.data.u32);
  return NULL;
}

static void* times_out(void* argument) {
  struct epoll_event event;
  int ms = (int)(intptr_t)argument;
  int set = epoll_create1(0);
  CHECK_OK(set);
  int64_t begin = mono_ns();
  CHECK_EQ(0, epoll_wait(set, &event, 1, ms));
  CHECK_BETWEEN(MS(ms), mono_ns() - begin, MS(10000));
  struct timespec t = from_ns(US(300 + ms));
  begin = mono_ns();
  CHECK_EQ(0, epoll_pwait2(set, &event, 1, &t, NULL));
  CHECK_BETWEEN(US(300 + ms), mono_ns() - begin, MS(10000));
  CHECK_EQ(0, epoll_wait(set, &event, 1, 0));
  CHECK_OK(close(set));
  return argument;
}

int main(void) {
  pthread_t threads[kThreads], writers[4];
  epoll_fd = epoll_create1(0);
  CHECK_OK(epoll_fd);
  for (uint32_t i = 0; i < kFds; ++i) {
    CHECK_OK(pipe(fds[i]));
    add(epoll_fd, fds[i][0], EPOLLIN | EPOLLONESHOT, i);
  }
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(serves, NULL);
  for (intptr_t i = 0; i < 4; ++i) writers[i] = start_thread(writes, (void*)i);
  for (int i = 0; i < 4; ++i) join_thread(writers[i]);
  int64_t begin = mono_ns();
  while (__atomic_load_n(&total, __ATOMIC_SEQ_CST) < kFds * kRounds) {
    CHECK(mono_ns() - begin < MS(kBoundMs));
    usleep(1000);
  }
  stop_fd = eventfd(1, 0);
  CHECK_OK(stop_fd);
  add(epoll_fd, stop_fd, EPOLLIN, kFds);  // added while all of them wait
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_EQ(kFds * kRounds, total);
  pass("one set, several threads");

  int set = epoll_create1(0), event_fd = eventfd(0, 0);
  add(set, event_fd, EPOLLIN, 5);
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(waits_once, &set);
  settle();
  CHECK_OK(eventfd_write(event_fd, 1));  // stays readable, so that all of them see it
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  pass("a level wakes all");

  int empty = epoll_create1(0);
  CHECK_OK(empty);
  pthread_t waiter = start_thread(waits_once, &empty);
  settle();
  add(empty, event_fd, EPOLLIN, 5);
  join_thread(waiter);
  pass("a registration wakes");

  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = start_thread(times_out, (void*)(i * 5));
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  pass("timeouts");
  return 0;
}
