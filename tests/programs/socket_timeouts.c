// SO_RCVTIMEO and SO_SNDTIMEO of less than a second: the call fails with EAGAIN after that time and
// neither at once nor never.
#include <netinet/in.h>
#include <sys/time.h>

#include "check.h"

static void set_timeout(int fd, int option, long us) {
  struct timeval t = {us / 1000000, us % 1000000}, came = {-1, -1};
  CHECK_OK(setsockopt(fd, SOL_SOCKET, option, &t, sizeof t));
  socklen_t size = sizeof came;
  CHECK_OK(getsockopt(fd, SOL_SOCKET, option, &came, &size));
  CHECK(came.tv_sec * 1000000 + came.tv_usec >= us);
}

static void* expect_timeouts(void* argument) {
  int fd = *(int*)argument;
  char buffer[16];
  set_timeout(fd, SO_RCVTIMEO, 80000);
  int64_t begin = mono_ns();
  CHECK_ERRNO(EAGAIN, recv(fd, buffer, sizeof buffer, 0));
  CHECK_BETWEEN(MS(79), mono_ns() - begin, MS(5000));
  begin = mono_ns();
  CHECK_ERRNO(EAGAIN, read(fd, buffer, sizeof buffer));
  CHECK_BETWEEN(MS(79), mono_ns() - begin, MS(5000));
  begin = mono_ns();
  struct iovec part = {buffer, sizeof buffer};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  CHECK_ERRNO(EAGAIN, recvmsg(fd, &message, 0));
  CHECK_BETWEEN(MS(79), mono_ns() - begin, MS(5000));
  return NULL;
}

static void* answers_late(void* argument) {
  settle();
  CHECK_EQ(4, send(*(int*)argument, "late", 4, 0));
  return NULL;
}

int main(void) {
  int pair[2];
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  join_thread(start_thread(expect_timeouts, &pair[0]));
  pass("receive times out");

  char buffer[16];
  set_timeout(pair[0], SO_RCVTIMEO, 20900000);
  pthread_t thread = start_thread(answers_late, &pair[1]);
  CHECK_EQ(4, recv(pair[0], buffer, sizeof buffer, 0));
  join_thread(thread);
  pass("data before the timeout");

  set_timeout(pair[0], SO_SNDTIMEO, 60000);
  size_t size = 16 << 20;
  char* big = calloc(1, size);
  int64_t begin = mono_ns();
  ssize_t n = send(pair[0], big, size, MSG_NOSIGNAL);
  CHECK(n > 0 && (size_t)n < size);
  CHECK_BETWEEN(MS(59), mono_ns() - begin, MS(5000));
  begin = mono_ns();
  CHECK_ERRNO(EAGAIN, send(pair[0], big, size, MSG_NOSIGNAL));
  CHECK_BETWEEN(MS(59), mono_ns() - begin, MS(5000));
  free(big);
  pass("send times out, with the partial count when something went");

  int listener = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_OK(listener);
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK_OK(bind(listener, (struct sockaddr*)&address, sizeof address));
  CHECK_OK(listen(listener, 5));
  set_timeout(listener, SO_RCVTIMEO, 70000);
  begin = mono_ns();
  CHECK_ERRNO(EAGAIN, accept(listener, NULL, NULL));
  CHECK_BETWEEN(MS(69), mono_ns() - begin, MS(5000));
  pass("accept times out");

  int udp = socket(AF_INET, SOCK_DGRAM, 0);
  CHECK_OK(udp);
  join_thread(start_thread(expect_timeouts, &udp));
  pass("receive of a datagram times out");
  return 0;
}
