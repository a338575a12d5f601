// What connect reports: ECONNREFUSED and its like are kept, in blocking and non-blocking form.
#include <sys/un.h>

#include "net.h"

static struct sockaddr_in closed_port;

static void* is_refused(void* argument) {
  for (int i = 0; i < 10; ++i) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_OK(fd);
    CHECK_ERRNO(ECONNREFUSED, connect(fd, (struct sockaddr*)&closed_port, sizeof closed_port));
    int error = -1;
    socklen_t size = sizeof error;
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size));
    CHECK_EQ(0, error);  // it was reported already
    CHECK_ERRNO(EPIPE, send(fd, "x", 1, MSG_NOSIGNAL));
    CHECK_OK(close(fd));
  }
  return argument;
}

static void* is_refused_later(void* argument) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  CHECK_OK(fd);
  int rc = connect(fd, (struct sockaddr*)&closed_port, sizeof closed_port);
  CHECK_EQ(-1, rc);
  if (errno != ECONNREFUSED) {
    CHECK_EQ(EINPROGRESS, errno);
    CHECK(wait_ready(fd, POLLOUT) & (POLLERR | POLLHUP));
    int error = 0;
    socklen_t size = sizeof error;
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size));
    CHECK_EQ(ECONNREFUSED, error);
  }
  CHECK_OK(close(fd));
  return argument;
}

static void* connects(void* argument) {
  struct sockaddr_in* address = argument;
  int fd = tcp_connect(address);
  CHECK_ERRNO(EISCONN, connect(fd, (struct sockaddr*)address, sizeof *address));
  CHECK_EQ(0, fcntl(fd, F_GETFL) & O_NONBLOCK);
  CHECK_OK(close(fd));

  fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  CHECK_OK(fd);
  if (connect(fd, (struct sockaddr*)address, sizeof *address) == -1) {
    CHECK_EQ(EINPROGRESS, errno);
    CHECK_EQ(POLLOUT, wait_ready(fd, POLLOUT));
    int error = -1;
    socklen_t size = sizeof error;
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size));
    CHECK_EQ(0, error);
  }
  CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
  CHECK_OK(close(fd));
  return NULL;
}

static void run(void* (*body)(void*), void* argument) {
  pthread_t threads[10];
  for (int i = 0; i < 10; ++i) threads[i] = start_thread(body, argument);
  for (int i = 0; i < 10; ++i) join_thread(threads[i]);
}

int main(void) {
  int unheard = bound_socket(SOCK_STREAM, &closed_port);  // bound, so that nobody listens there
  run(is_refused, NULL);
  pass("refused");
  run(is_refused_later, NULL);
  pass("refused without blocking");

  struct sockaddr_in open_port;
  int listener = tcp_listener(&open_port, 100);
  run(connects, &open_port);
  pass("accepted by the backlog");

  struct sockaddr_un local = {.sun_family = AF_UNIX};
  snprintf(local.sun_path, sizeof local.sun_path, "/tmp/tendril-test-%d", (int)getpid());
  int fd = socket(AF_UNIX, SOCK_STREAM, 0), other = socket(AF_UNIX, SOCK_STREAM, 0);
  CHECK_ERRNO(ENOENT, connect(fd, (struct sockaddr*)&local, sizeof local));
  CHECK_OK(bind(other, (struct sockaddr*)&local, sizeof local));
  CHECK_ERRNO(ECONNREFUSED, connect(fd, (struct sockaddr*)&local, sizeof local));
  CHECK_OK(unlink(local.sun_path));
  pass("Unix sockets");

  int udp = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in nobody;
  int reserved = bound_socket(SOCK_DGRAM, &nobody);
  // It takes packets from that peer only, and keeps the port from being used by others.
  CHECK_OK(connect(reserved, (struct sockaddr*)&closed_port, sizeof closed_port));
  CHECK_OK(connect(udp, (struct sockaddr*)&nobody, sizeof nobody));
  CHECK_EQ(1, send(udp, "x", 1, 0));
  char c;
  CHECK_ERRNO(ECONNREFUSED, recv(udp, &c, 1, 0));
  pass("UDP");

  CHECK_ERRNO(EBADF, connect(-1, (struct sockaddr*)&open_port, sizeof open_port));
  CHECK_ERRNO(ENOTSOCK, connect(0, (struct sockaddr*)&open_port, sizeof open_port));
  CHECK_ERRNO(EINVAL, connect(fd, (struct sockaddr*)&local, 1));
  CHECK_ERRNO(EFAULT, syscall(SYS_connect, fd, 8L, 16L));
  CHECK_OK(close(listener));
  CHECK_OK(close(unheard));
  pass("bad arguments");
  return 0;
}
