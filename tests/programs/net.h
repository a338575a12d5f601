// Sockets on the loopback interface, for the test programs.
#ifndef TENDRIL_TESTS_PROGRAMS_NET_H_
#define TENDRIL_TESTS_PROGRAMS_NET_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "check.h"

#define HELPER static inline __attribute__((unused))

// A socket bound to a port that the system chose; the address is stored.
HELPER int bound_socket(int type, struct sockaddr_in* address) {
  int fd = socket(AF_INET, type, 0);
  CHECK_OK(fd);
  memset(address, 0, sizeof *address);
  address->sin_family = AF_INET;
  address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof *address;
  CHECK_OK(bind(fd, (struct sockaddr*)address, size));
  CHECK_OK(getsockname(fd, (struct sockaddr*)address, &size));
  return fd;
}

HELPER int tcp_listener(struct sockaddr_in* address, int backlog) {
  int fd = bound_socket(SOCK_STREAM, address);
  CHECK_OK(listen(fd, backlog));
  return fd;
}

HELPER int tcp_connect(const struct sockaddr_in* address) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_OK(fd);
  CHECK_OK(connect(fd, (const struct sockaddr*)address, sizeof *address));
  return fd;
}

// A connected pair of TCP sockets.
HELPER void tcp_pair(int pair[2]) {
  struct sockaddr_in address;
  int listener = tcp_listener(&address, 1);
  pair[0] = tcp_connect(&address);
  pair[1] = accept(listener, NULL, NULL);
  CHECK_OK(pair[1]);
  CHECK_OK(close(listener));
}

#undef HELPER

#endif  // TENDRIL_TESTS_PROGRAMS_NET_H_
