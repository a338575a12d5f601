// An error that ends recvmmsg after some messages is kept: the next call on the socket gives it.
#include <sys/ioctl.h>

#include "net.h"

enum { kMost = 4 };

static struct mmsghdr messages[kMost];
static struct iovec parts[kMost];
static char texts[kMost][16];

static void prepare(void) {
  memset(messages, 0, sizeof messages);
  for (int i = 0; i < kMost; ++i) {
    parts[i] = (struct iovec){texts[i], sizeof texts[i]};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
}

static void bad_buffer(void) {
  int pair[2];
  CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
  for (int i = 0; i < 3; ++i) CHECK_EQ(3, send(pair[0], "abc", 3, 0));
  prepare();
  messages[2].msg_hdr.msg_iov = (struct iovec*)16;
  CHECK_EQ(2, recvmmsg(pair[1], messages, kMost, 0, NULL));
  CHECK_EQ(3, messages[1].msg_len);
  prepare();
  CHECK_ERRNO(EFAULT, recvmmsg(pair[1], messages, kMost, 0, NULL));
  CHECK_EQ(1, recvmmsg(pair[1], messages, kMost, MSG_WAITFORONE, NULL));
  prepare();
  messages[0].msg_hdr.msg_iov = (struct iovec*)16;
  CHECK_ERRNO(EFAULT, recvmmsg(pair[1], messages, kMost, 0, NULL));
  CHECK_EQ(1, send(pair[0], "d", 1, 0));
  prepare();
  CHECK_EQ(1, recvmmsg(pair[1], messages, 1, 0, NULL));
  CHECK_OK(close(pair[0]));
  CHECK_OK(close(pair[1]));
}

static int receiver;

static void* receives(void* argument) {
  prepare();
  CHECK_EQ(2, recvmmsg(receiver, messages, kMost, 0, NULL));
  char byte;
  CHECK_ERRNO(ECONNREFUSED, recv(receiver, &byte, 1, MSG_DONTWAIT));
  CHECK_ERRNO(EAGAIN, recv(receiver, &byte, 1, MSG_DONTWAIT));
  return argument;
}

// The second and the third message are waited for.
static void refused(void) {
  int ends[2];
  struct sockaddr_in addresses[2];
  for (int i = 0; i < 2; ++i) {
    addresses[i] = (struct sockaddr_in){.sin_family = AF_INET};
    addresses[i].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ends[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK_OK(ends[i]);
    CHECK_OK(bind(ends[i], (struct sockaddr*)&addresses[i], sizeof addresses[i]));
    socklen_t size = sizeof addresses[i];
    CHECK_OK(getsockname(ends[i], (struct sockaddr*)&addresses[i], &size));
  }
  for (int i = 0; i < 2; ++i) {
    CHECK_OK(connect(ends[i], (struct sockaddr*)&addresses[1 - i], sizeof addresses[0]));
  }
  receiver = ends[0];
  pthread_t thread = start_thread(receives, NULL);
  for (int i = 0; i < 2; ++i) {
    CHECK_EQ(3, send(ends[1], "abc", 3, 0));
    int there = 1;
    int64_t begin = mono_ns();
    while (there != 0) {
      CHECK(mono_ns() - begin < MS(kBoundMs));
      usleep(1000);
      CHECK_OK(ioctl(receiver, FIONREAD, &there));
    }
  }
  CHECK_OK(close(ends[1]));
  CHECK_EQ(1, send(receiver, "x", 1, 0));
  join_thread(thread);
  CHECK_OK(close(receiver));
}

int main(void) {
  be_threaded();
  bad_buffer();
  pass("a bad buffer");
  refused();
  pass("refused by the peer");
  return 0;
}
