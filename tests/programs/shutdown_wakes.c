// shutdown and the end of the peer wake whoever is blocked on the socket, in recv, send, poll or
// accept.
#include "net.h"

static int pair[2];
static int listener;

static void* receives_end(void* argument) {
  char c;
  CHECK_EQ(0, recv(pair[0], &c, 1, 0));
  return argument;
}

static void* polls_end(void* argument) {
  struct pollfd p = {pair[0], POLLIN, 0};
  CHECK_EQ(1, poll(&p, 1, kBoundMs));
  CHECK(p.revents & POLLIN);
  return argument;
}

static void* sends_until_broken(void* argument) {
  static char block[4 << 20];
  ssize_t n = send(pair[0], block, sizeof block, MSG_NOSIGNAL);
  CHECK(n == -1 ? errno == EPIPE : n < (ssize_t)sizeof block);
  return argument;
}

static void* accepts_nobody(void* argument) {
  CHECK_ERRNO(EINVAL, accept(listener, NULL, NULL));
  return argument;
}

static void* is_reset(void* argument) {
  char c;
  CHECK_ERRNO(ECONNRESET, recv(pair[0], &c, 1, 0));
  return argument;
}

static pthread_t begin(void* (*body)(void*)) {
  pthread_t thread = start_thread(body, NULL);
  settle();
  return thread;
}

int main(void) {
  for (int tcp = 0; tcp < 2; ++tcp) {
    for (int way = 0; way < 3; ++way) {
      if (tcp) {
        tcp_pair(pair);
      } else {
        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
      }
      pthread_t a = begin(receives_end), b = begin(receives_end), c = begin(polls_end);
      switch (way) {
        case 0:
          CHECK_OK(shutdown(pair[0], SHUT_RD));
          break;
        case 1:
          CHECK_OK(shutdown(pair[1], SHUT_WR));
          break;
        default:
          CHECK_OK(close(pair[1]));
          break;
      }
      join_thread(a);
      join_thread(b);
      join_thread(c);
    }
  }
  pass("readers");

  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  pthread_t thread = begin(sends_until_broken);
  CHECK_OK(shutdown(pair[0], SHUT_WR));
  join_thread(thread);
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  thread = begin(sends_until_broken);
  CHECK_OK(close(pair[1]));
  join_thread(thread);
  pass("writers");

  struct sockaddr_in address;
  listener = tcp_listener(&address, 1);
  thread = begin(accepts_nobody);
  CHECK_OK(shutdown(listener, SHUT_RDWR));
  join_thread(thread);
  pass("accept");

  tcp_pair(pair);
  thread = begin(is_reset);
  struct linger linger = {1, 0};  // close by a reset
  CHECK_OK(setsockopt(pair[1], SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
  CHECK_OK(close(pair[1]));
  join_thread(thread);
  pass("a reset");
  return 0;
}
