// Several threads block in accept on one listener: each connection is accepted once, with the
// address of its peer.
#include "net.h"

enum { kAcceptors = 5, kClients = 100 };

static int listener;
static struct sockaddr_in address;
static int accepted[kAcceptors];

static void* accepts(void* argument) {
  int id = (int)(intptr_t)argument;
  for (;;) {
    struct sockaddr_in peer = {0}, expected;
    socklen_t size = sizeof peer;
    int fd = id % 2 ? accept4(listener, (struct sockaddr*)&peer, &size, SOCK_CLOEXEC)
                    : accept(listener, (struct sockaddr*)&peer, &size);
    CHECK_OK(fd);
    CHECK_EQ(sizeof peer, size);
    CHECK_EQ(id % 2 ? FD_CLOEXEC : 0, fcntl(fd, F_GETFD));
    CHECK_EQ(0, fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK_EQ(sizeof expected, recv(fd, &expected, sizeof expected, MSG_WAITALL));
    CHECK_EQ(AF_INET, peer.sin_family);
    if (expected.sin_port == 0) {  // the word to stop
      CHECK_OK(close(fd));
      return NULL;
    }
    CHECK_EQ(expected.sin_port, peer.sin_port);
    CHECK_EQ(htonl(INADDR_LOOPBACK), peer.sin_addr.s_addr);
    ++accepted[id];
    CHECK_EQ(1, send(fd, "y", 1, MSG_NOSIGNAL));
    CHECK_OK(close(fd));
  }
}

static void* connects(void* argument) {
  int fd = tcp_connect(&address);
  struct sockaddr_in own;
  socklen_t size = sizeof own;
  CHECK_OK(getsockname(fd, (struct sockaddr*)&own, &size));
  if (argument) own.sin_port = 0;
  CHECK_EQ(sizeof own, send(fd, &own, sizeof own, MSG_NOSIGNAL));
  char c;
  CHECK_EQ(argument ? 0 : 1, recv(fd, &c, 1, 0));
  CHECK_OK(close(fd));
  return NULL;
}

int main(void) {
  listener = tcp_listener(&address, 128);
  pthread_t acceptors[kAcceptors], clients[kClients];
  for (intptr_t i = 0; i < kAcceptors; ++i) acceptors[i] = start_thread(accepts, (void*)i);
  settle();
  for (int i = 0; i < kClients; ++i) clients[i] = start_thread(connects, NULL);
  for (int i = 0; i < kClients; ++i) join_thread(clients[i]);
  int total = 0;
  for (int i = 0; i < kAcceptors; ++i) total += accepted[i];
  CHECK_EQ(kClients, total);
  pass("each connection is accepted once");

  CHECK_EQ(0, fcntl(listener, F_GETFL) & O_NONBLOCK);
  struct sockaddr_in other_address;
  int other = tcp_listener(&other_address, 1);
  CHECK_OK(fcntl(other, F_SETFL, O_NONBLOCK));
  CHECK_ERRNO(EAGAIN, accept(other, NULL, NULL));
  pass("EAGAIN when the program asked for it");

  CHECK_ERRNO(EINVAL, accept4(other, NULL, NULL, 0x7f));
  int plain = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_ERRNO(EINVAL, accept(plain, NULL, NULL));
  CHECK_ERRNO(ENOTSOCK, accept(0, NULL, NULL));
  CHECK_ERRNO(EBADF, accept(-1, NULL, NULL));
  pass("bad arguments");

  for (int i = 0; i < kAcceptors; ++i) clients[i] = start_thread(connects, &address);
  for (int i = 0; i < kAcceptors; ++i) join_thread(acceptors[i]);
  for (int i = 0; i < kAcceptors; ++i) join_thread(clients[i]);
  pass("told to stop");
  return 0;
}
