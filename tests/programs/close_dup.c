// Closing one of two descriptors of the same file does not disturb a thread that waits on the
// other, nor do the closing of unrelated descriptors and their reuse.
#include <sys/epoll.h>

#include "check.h"

static int ends[2], epoll_fd;

static void* reads(void* argument) {
  char c = 0;
  CHECK_EQ(1, read(*(int*)argument, &c, 1));
  CHECK_EQ('d', c);
  return NULL;
}

static void* polls(void* argument) {
  struct pollfd p = {*(int*)argument, POLLIN, 0};
  CHECK_EQ(1, poll(&p, 1, kBoundMs));
  CHECK_EQ(POLLIN, p.revents);
  return reads(argument);
}

static void* waits_by_epoll(void* argument) {
  struct epoll_event event;
  CHECK_EQ(1, epoll_wait(epoll_fd, &event, 1, kBoundMs));
  CHECK_EQ(77, event.data.u32);
  return reads(argument);
}

static void disturb(void* (*waiter)(void*), int socket) {
  if (socket) {
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
  } else {
    CHECK_OK(pipe(ends));
  }
  int other = dup(ends[0]), third = fcntl(ends[0], F_DUPFD, 100);
  CHECK_OK(other);
  CHECK_OK(third);
  epoll_fd = epoll_create1(0);
  CHECK_OK(epoll_fd);
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = 77};
  CHECK_OK(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, ends[0], &event));
  pthread_t thread = start_thread(waiter, &ends[0]);
  settle();
  CHECK_OK(close(other));
  for (int i = 0; i < 10; ++i) {  // the number is used by others meanwhile
    int unrelated[2];
    CHECK_OK(pipe(unrelated));
    CHECK_EQ(1, write(unrelated[1], "u", 1));
    CHECK_OK(close(unrelated[0]));
    CHECK_OK(close(unrelated[1]));
  }
  CHECK_OK(close(third));
  CHECK_EQ(EBUSY, pthread_tryjoin_np(thread, NULL));
  CHECK_EQ(1, write(ends[1], "d", 1));
  join_thread(thread);
  CHECK_OK(close(ends[0]));
  CHECK_OK(close(ends[1]));
  CHECK_OK(close(epoll_fd));
}

static void* reads_original_later(void* argument) {
  settle();
  return reads(argument);
}

int main(void) {
  for (int socket = 0; socket < 2; ++socket) {
    disturb(reads, socket);
    disturb(polls, socket);
    disturb(waits_by_epoll, socket);
  }
  pass("a dup is closed while another thread waits");

  CHECK_OK(pipe(ends));
  int copy = dup(ends[0]);
  CHECK_OK(copy);
  pthread_t a = start_thread(reads, &copy), b = start_thread(reads_original_later, &copy);
  settle();
  CHECK_OK(close(ends[0]));  // the descriptor that was made first goes
  CHECK_EQ(2, write(ends[1], "dd", 2));
  join_thread(a);
  join_thread(b);
  pass("the original is closed and the dup is used on");

  int writer = dup(ends[1]);
  CHECK_OK(writer);
  a = start_thread(reads, &copy);
  settle();
  CHECK_OK(close(ends[1]));  // not the end of file: a writer is left
  CHECK_EQ(EBUSY, pthread_tryjoin_np(a, NULL));
  CHECK_EQ(1, write(writer, "d", 1));
  join_thread(a);
  CHECK_OK(close(writer));
  char c;
  CHECK_EQ(0, read(copy, &c, 1));
  pass("the end of file comes with the last writer");
  return 0;
}
