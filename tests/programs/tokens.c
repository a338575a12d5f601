// Tokens go from thread to thread through pipes, pairs of sockets and eventfds, by every way to
// write and every way to wait, beside children that come and go: no wake-up is lost.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/uio.h>

#include "check.h"

enum { kThreads = 9, kTokens = 3, kHops = 6000, kKinds = 3, kBetweenForks = 1500 };

struct inbox {
  enum { kPipe, kSockets, kEventfd } kind;
  int reads, writes;
};

static struct inbox inboxes[kThreads];
static long hops;

static unsigned next(unsigned* random, unsigned below) {
  *random = *random * 1664525 + 1013904223;
  return (*random >> 8) % below;
}

static size_t token_size(const struct inbox* inbox) { return inbox->kind == kEventfd ? 8 : 1; }

static void make_inbox(struct inbox* inbox, int number) {
  int pair[2];
  inbox->kind = number % kKinds;
  if (inbox->kind == kPipe) {
    CHECK_OK(pipe(pair));
  } else if (inbox->kind == kSockets) {
    CHECK_OK(socketpair(AF_UNIX, number % 2 ? SOCK_STREAM : SOCK_DGRAM, 0, pair));
  } else {
    pair[0] = pair[1] = eventfd(0, number % 2 ? EFD_SEMAPHORE : 0);
    CHECK_OK(pair[0]);
  }
  inbox->reads = pair[0];
  inbox->writes = pair[1];
}

static void put(const struct inbox* inbox, unsigned* random) {
  uint64_t token = 1;
  const size_t size = token_size(inbox);
  struct iovec part = {&token, size};
  int duplicate;
  switch (next(random, 5)) {
    case 0:
      CHECK_EQ(size, writev(inbox->writes, &part, 1));
      break;
    case 1:
      duplicate = dup(inbox->writes);
      CHECK_OK(duplicate);
      CHECK_EQ(size, write(duplicate, &token, size));
      CHECK_OK(close(duplicate));
      break;
    case 2:
      if (inbox->kind == kSockets) {
        CHECK_EQ(size, send(inbox->writes, &token, size, MSG_DONTWAIT));
        break;
      }
      __attribute__((fallthrough));
    default:
      CHECK_EQ(size, write(inbox->writes, &token, size));
      break;
  }
}

static void wait_for(int fd, int set, unsigned* random) {
  struct pollfd readable = {fd, POLLIN, 0};
  struct epoll_event event;
  fd_set fds;
  switch (next(random, 6)) {
    case 0:
      CHECK_EQ(1, poll(&readable, 1, kBoundMs));
      break;
    case 1:
      while (poll(&readable, 1, 1 + (int)next(random, 10)) == 0) continue;
      CHECK_EQ(POLLIN, readable.revents);
      break;
    case 2:
      CHECK_EQ(1, epoll_wait(set, &event, 1, kBoundMs));
      break;
    case 3:
      FD_ZERO(&fds);
      FD_SET(fd, &fds);
      CHECK_EQ(1, select(fd + 1, &fds, NULL, NULL, NULL));
      break;
    default:  // the read waits
      break;
  }
}

// How many tokens have come.
static uint64_t take(const struct inbox* inbox, int set, unsigned* random) {
  uint64_t came = 0;
  wait_for(inbox->reads, set, random);
  const size_t size = token_size(inbox);
  CHECK_EQ(size, read(inbox->reads, &came, size));
  return inbox->kind == kEventfd ? came : 1;
}

static void fork_once(void) {
  const pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) _exit(0);
  int status;
  CHECK_EQ(child, waitpid(child, &status, 0));
}

static void* passes_on(void* argument) {
  const struct inbox* inbox = argument;
  unsigned random = (unsigned)(inbox - inboxes);
  const int set = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN};
  CHECK_OK(set);
  CHECK_OK(epoll_ctl(set, EPOLL_CTL_ADD, inbox->reads, &event));
  for (;;) {
    for (uint64_t tokens = take(inbox, set, &random); tokens > 0; --tokens) {
      const long hop = __atomic_add_fetch(&hops, 1, __ATOMIC_SEQ_CST);
      if (hop >= kHops) {  // one more for each, so that all end
        if (hop == kHops) {
          for (int i = 0; i < kThreads; ++i) put(&inboxes[i], &random);
        }
        CHECK_OK(close(set));
        return argument;
      }
      if (hop % kBetweenForks == 0) fork_once();
      if (next(&random, 400) == 0) settle();
      put(&inboxes[next(&random, kThreads)], &random);
    }
  }
}

int main(void) {
  be_threaded();
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) make_inbox(&inboxes[i], i);
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(passes_on, &inboxes[i]);
  unsigned random = 1;
  for (int i = 0; i < kTokens; ++i) put(&inboxes[next(&random, kThreads)], &random);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  pass("no token is lost");
  return 0;
}
