// What the echo servers share: a listening socket on a free port, announced on stdout.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { kEchoBuffer = 4096, kBacklog = 4096 };

static inline void die(const char* what) {
  perror(what);
  exit(1);
}

// Returns a blocking listening socket.
static inline int listen_and_announce(void) {
  struct sockaddr_in address = {};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) die("socket");
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, (struct sockaddr*)&address, sizeof address) < 0) die("bind");
  if (listen(fd, kBacklog) < 0) die("listen");
  if (getsockname(fd, (struct sockaddr*)&address, &size) < 0) die("getsockname");
  signal(SIGPIPE, SIG_IGN);
  printf("listening %d\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}
