// Echo by a raw edge-triggered epoll loop: the limit that the others are measured against.
// A read shorter than the buffer has drained the socket, so it costs one read and one write a
// request and a share of one epoll_wait.
#define _GNU_SOURCE
#include <errno.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "echo_server.h"

static void add(int epoll, int fd) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.fd = fd};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
}

static void accept_all(int epoll, int listener) {
  int fd;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) add(epoll, fd);
  if (errno != EAGAIN) die("accept4");
}

static void echo(int fd) {
  char buffer[kEchoBuffer];
  ssize_t received;
  do {
    received = recv(fd, buffer, sizeof buffer, 0);
    if (received < 0 && errno == EAGAIN) return;
    if (received <= 0) {
      close(fd);
      return;
    }
    // A message or a few: the send buffer of a client that waits for its echo has room.
    if (send(fd, buffer, (size_t)received, 0) != received) {
      close(fd);
      return;
    }
  } while (received == sizeof buffer);
}

int main(void) {
  struct epoll_event events[512];
  int listener = listen_and_announce();
  int epoll = epoll_create1(0);
  // Non-blocking for accept_all; the description is ours alone.
  int on = 1;
  if (epoll < 0 || ioctl(listener, FIONBIO, &on) < 0) die("epoll_create1");
  add(epoll, listener);
  for (;;) {
    int ready = epoll_wait(epoll, events, 512, -1);
    if (ready < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < ready; i++) {
      if (events[i].data.fd == listener) {
        accept_all(epoll, listener);
      } else {
        echo(events[i].data.fd);
      }
    }
  }
}
