// MSG_PEEK, MSG_WAITALL, MSG_DONTWAIT and MSG_TRUNC, while the data come late.
#include "net.h"

static int pair[2];

static void* sends_late(void* argument) {
  for (const char* c = argument; *c; ++c) {
    usleep(3000);
    CHECK_EQ(1, send(pair[1], c, 1, MSG_NOSIGNAL));
  }
  return NULL;
}

static void* sends_and_closes(void* argument) {
  sends_late(argument);
  CHECK_OK(shutdown(pair[1], SHUT_WR));
  return NULL;
}

static void stream(void) {
  char text[16] = {0};
  CHECK_ERRNO(EAGAIN, recv(pair[0], text, 5, MSG_DONTWAIT));
  CHECK_ERRNO(EAGAIN, recv(pair[0], text, 5, MSG_DONTWAIT | MSG_PEEK));

  pthread_t thread = start_thread(sends_late, "abc");
  CHECK_EQ(1, recv(pair[0], text, 1, MSG_PEEK));  // blocks until there is something to see
  CHECK_EQ('a', text[0]);
  join_thread(thread);
  CHECK_EQ(3, recv(pair[0], text, 10, MSG_PEEK));
  CHECK_EQ(3, recv(pair[0], text, 10, MSG_PEEK | MSG_DONTWAIT));
  CHECK_STR("abc", text);
  CHECK_EQ(2, recv(pair[0], text, 2, 0));
  CHECK_EQ(1, recv(pair[0], text, 10, 0));
  CHECK_EQ('c', text[0]);

  memset(text, 0, sizeof text);
  thread = start_thread(sends_late, "0123456789");
  CHECK_EQ(10, recv(pair[0], text, 10, MSG_WAITALL));
  CHECK_STR("0123456789", text);
  join_thread(thread);

  memset(text, 0, sizeof text);
  thread = start_thread(sends_late, "wait");
  char a[3] = {0}, b[3] = {0};
  struct iovec parts[2] = {{a, 2}, {b, 2}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  CHECK_EQ(4, recvmsg(pair[0], &message, MSG_WAITALL));
  CHECK_STR("wa", a);
  CHECK_STR("it", b);
  join_thread(thread);
  message.msg_iovlen = IOV_MAX + 1;
  CHECK_ERRNO(EMSGSIZE, recvmsg(pair[0], &message, MSG_WAITALL));
  message.msg_iov = NULL;
  message.msg_iovlen = 1;
  CHECK_ERRNO(EFAULT, recvmsg(pair[0], &message, MSG_WAITALL));

  memset(text, 0, sizeof text);
  thread = start_thread(sends_and_closes, "short");
  CHECK_EQ(5, recv(pair[0], text, 10, MSG_WAITALL));
  CHECK_STR("short", text);
  CHECK_EQ(0, recv(pair[0], text, 10, MSG_WAITALL));
  CHECK_EQ(0, recv(pair[0], text, 10, MSG_PEEK));
  CHECK_EQ(0, recv(pair[0], text, 10, MSG_DONTWAIT));
  join_thread(thread);
  CHECK_OK(close(pair[0]));
  CHECK_OK(close(pair[1]));
}

int main(void) {
  be_threaded();
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  stream();
  pass("Unix stream socket");
  tcp_pair(pair);
  stream();
  pass("TCP socket");

  CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
  char text[16] = {0};
  CHECK_EQ(6, send(pair[1], "packet", 6, 0));
  CHECK_EQ(2, recv(pair[0], text, 2, MSG_PEEK));
  CHECK_EQ(6, recv(pair[0], text, 2, MSG_TRUNC));
  CHECK_STR("pa", text);
  CHECK_EQ(4, send(pair[1], "long", 4, 0));
  struct iovec part = {text, 2};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  CHECK_EQ(2, recvmsg(pair[0], &message, 0));
  CHECK(message.msg_flags & MSG_TRUNC);
  CHECK_EQ(0, send(pair[1], "", 0, 0));
  CHECK_EQ(0, recv(pair[0], text, 5, 0));
  CHECK_ERRNO(EAGAIN, recv(pair[0], text, 5, MSG_DONTWAIT));
  pass("datagrams");
  return 0;
}
