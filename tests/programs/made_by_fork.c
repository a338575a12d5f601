// A child of fork that has its first thread later, with listening sockets of several origins: from
// before the fork, the same under another number, its own, and received from its parent. What it
// shares the parent makes non-blocking between two calls, which the child's next one goes by.
#include "net.h"

enum Origin { kBefore, kDuplicated, kOwn, kReceived, kOrigins };

struct Message {
  struct iovec part;
  struct msghdr header;
  char byte;
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control;
};
static void prepare(struct Message* m) {
  memset(m, 0, sizeof *m);
  m->part = (struct iovec){&m->byte, 1};
  m->header = (struct msghdr){.msg_iov = &m->part,
                              .msg_iovlen = 1,
                              .msg_control = m->control.bytes,
                              .msg_controllen = sizeof m->control.bytes};
}

static void send_descriptor(int socket, int fd) {
  struct Message m;
  prepare(&m);
  struct cmsghdr* c = CMSG_FIRSTHDR(&m.header);
  *c = (struct cmsghdr){
      .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  memcpy(CMSG_DATA(c), &fd, sizeof fd);
  CHECK_EQ(1, sendmsg(socket, &m.header, 0));
}

static int receive_descriptor(int socket) {
  struct Message m;
  prepare(&m);
  CHECK_EQ(1, recvmsg(socket, &m.header, 0));
  struct cmsghdr* c = CMSG_FIRSTHDR(&m.header);
  CHECK(c && c->cmsg_type == SCM_RIGHTS);
  int fd;
  memcpy(&fd, CMSG_DATA(c), sizeof fd);
  return fd;
}

static void say(int socket) { CHECK_EQ(1, send(socket, "x", 1, 0)); }
static void hear(int socket) {
  char byte;
  CHECK_EQ(1, recv(socket, &byte, 1, 0));
}

static int pair[2], listener;
static enum Origin origin;

static void* serves(void* argument) {
  for (int i = 0; i < 20; ++i) {
    int fd = accept(listener, NULL, NULL);
    CHECK_OK(fd);
    hear(fd);
    say(fd);
    CHECK_OK(close(fd));
  }
  say(pair[1]);
  hear(pair[1]);
  if (origin != kOwn) CHECK_ERRNO(EAGAIN, accept(listener, NULL, NULL));
  return argument;
}

static void check_origin(void) {
  struct sockaddr_in address;
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  if (origin == kBefore || origin == kDuplicated) listener = tcp_listener(&address, 20);
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    CHECK_OK(close(pair[0]));
    if (origin == kOwn) {
      listener = tcp_listener(&address, 20);
      CHECK_EQ(sizeof address, send(pair[1], &address, sizeof address, 0));
    }
    if (origin == kDuplicated) {
      int number = fcntl(listener, F_DUPFD, 12);
      CHECK_OK(number);
      CHECK_OK(close(listener));
      listener = number;
    }
    if (origin == kReceived) {  // under a number that was none when the child was made
      listener = fcntl(receive_descriptor(pair[1]), F_DUPFD, 12);
      CHECK_OK(listener);
    }
    join_thread(start_thread(serves, NULL));
    _exit(30 + (int)origin);
  }
  CHECK_OK(close(pair[1]));
  if (origin == kOwn)
    CHECK_EQ(sizeof address, recv(pair[0], &address, sizeof address, MSG_WAITALL));
  if (origin == kReceived) {
    listener = tcp_listener(&address, 20);
    send_descriptor(pair[0], listener);
  }
  for (int i = 0; i < 20; ++i) {
    int fd = tcp_connect(&address);
    say(fd);
    hear(fd);
    CHECK_OK(close(fd));
  }
  hear(pair[0]);
  if (origin != kOwn) CHECK_OK(fcntl(listener, F_SETFL, O_NONBLOCK));
  say(pair[0]);
  CHECK_EXITED(30 + (int)origin, child);
  CHECK_OK(close(pair[0]));
  if (origin != kOwn) CHECK_OK(close(listener));
}

int main(void) {
  alarm(kBoundMs / 1000 + 20);
  for (origin = kBefore; origin < kOrigins; ++origin) check_origin();
  pass("listening sockets of a child of fork");
  return 0;
}
