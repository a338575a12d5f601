// When the program itself asks for O_NONBLOCK, by whatever means, its calls fail with EAGAIN and
// never wait; and they block again when it takes that back.
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>

#include "net.h"

static void check_would_block(int fd) {
  char buffer[64];
  CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
  CHECK_ERRNO(EAGAIN, read(fd, buffer, sizeof buffer));
}

static void* pipes(void* argument) {
  int ends[2];
  CHECK_OK(pipe2(ends, O_NONBLOCK | O_CLOEXEC));
  check_would_block(ends[0]);
  static char block[1 << 20];
  ssize_t n = write(ends[1], block, sizeof block);
  CHECK(n > 0 && n < (ssize_t)sizeof block);
  CHECK_ERRNO(EAGAIN, write(ends[1], block, sizeof block));
  CHECK_ERRNO(EAGAIN, write(ends[1], block, 1));
  CHECK_OK(close(ends[0]));
  CHECK_OK(close(ends[1]));

  CHECK_OK(pipe(ends));
  CHECK_EQ(O_RDONLY, fcntl(ends[0], F_GETFL));
  CHECK_EQ(O_WRONLY, fcntl(ends[1], F_GETFL));
  CHECK_OK(fcntl(ends[0], F_SETFL, O_NONBLOCK));
  CHECK_EQ(O_RDONLY | O_NONBLOCK, fcntl(ends[0], F_GETFL));
  CHECK_EQ(O_WRONLY, fcntl(ends[1], F_GETFL));  // each end has its own description
  check_would_block(ends[0]);
  int copy = dup(ends[0]);
  check_would_block(copy);
  int off = 0, on = 1;
  CHECK_OK(ioctl(copy, FIONBIO, &off));
  CHECK_EQ(O_RDONLY, fcntl(ends[0], F_GETFL));
  CHECK_OK(ioctl(ends[0], FIONBIO, &on));
  check_would_block(copy);
  return argument;
}

static void* sockets(void* argument) {
  int pair[2];
  char c;
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
  check_would_block(pair[0]);
  CHECK_ERRNO(EAGAIN, recv(pair[0], &c, 1, 0));
  static char block[4 << 20];
  ssize_t n = send(pair[1], block, sizeof block, MSG_NOSIGNAL);
  CHECK(n > 0 && n < (ssize_t)sizeof block);
  CHECK_ERRNO(EAGAIN, send(pair[1], block, sizeof block, MSG_NOSIGNAL));

  struct sockaddr_in address;
  int listener = tcp_listener(&address, 5);
  CHECK_OK(fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK));
  CHECK_ERRNO(EAGAIN, accept(listener, NULL, NULL));
  int client = tcp_connect(&address);
  wait_ready(listener, POLLIN);
  int server = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
  CHECK_OK(server);
  check_would_block(server);
  CHECK_EQ(0, fcntl(client, F_GETFL) & O_NONBLOCK);
  CHECK_OK(close(client));
  client = tcp_connect(&address);
  wait_ready(listener, POLLIN);
  server = accept(listener, NULL, NULL);
  CHECK_OK(server);
  CHECK_EQ(0, fcntl(server, F_GETFL) & O_NONBLOCK);  // not inherited from the listener
  return argument;
}

static void* counters(void* argument) {
  int event = eventfd(0, EFD_NONBLOCK);
  CHECK_OK(event);
  check_would_block(event);
  uint64_t most = UINT64_MAX - 1, one = 1;
  CHECK_EQ(8, write(event, &most, 8));
  CHECK_ERRNO(EAGAIN, write(event, &one, 8));
  int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  CHECK_OK(timer);
  check_would_block(timer);
  return argument;
}

static int ends[2];

static void* reads(void* argument) {
  char c = 0;
  CHECK_EQ(1, read(ends[0], &c, 1));
  CHECK_EQ('b', c);
  return argument;
}

int main(void) {
  join_thread(start_thread(pipes, NULL));
  pass("pipes");
  join_thread(start_thread(sockets, NULL));
  pass("sockets");
  join_thread(start_thread(counters, NULL));
  pass("eventfd and timerfd");

  CHECK_OK(pipe2(ends, O_NONBLOCK));
  check_would_block(ends[0]);
  CHECK_OK(fcntl(ends[0], F_SETFL, 0));
  pthread_t thread = start_thread(reads, NULL);
  settle();
  CHECK_EQ(EBUSY, pthread_tryjoin_np(thread, NULL));
  CHECK_EQ(1, write(ends[1], "b", 1));
  join_thread(thread);
  pass("blocking again");
  return 0;
}
