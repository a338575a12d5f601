// A blocking send of 8 MB over a TCP or Unix socket whose reader is slow arrives whole, and the
// call returns the full count: write, send, writev and sendmsg.
#include <sys/uio.h>

#include "net.h"

enum { kSize = 8 << 20 };

static int pair[2];
static unsigned char *sent, *received;

static void* by_write(void* argument) {
  CHECK_EQ(kSize, write(pair[0], sent, kSize));
  return argument;
}

static void* by_send(void* argument) {
  CHECK_EQ(kSize, send(pair[0], sent, kSize, MSG_NOSIGNAL));
  return argument;
}

static void split(struct iovec parts[3]) {
  parts[0] = (struct iovec){sent, 3};
  parts[1] = (struct iovec){sent + 3, kSize / 3};
  parts[2] = (struct iovec){sent + 3 + kSize / 3, kSize - 3 - kSize / 3};
}

static void* by_writev(void* argument) {
  struct iovec parts[3];
  split(parts);
  CHECK_EQ(kSize, writev(pair[0], parts, 3));
  CHECK_EQ(3, parts[0].iov_len);  // the caller's vector is not consumed
  return argument;
}

static void* by_sendmsg(void* argument) {
  struct iovec parts[3];
  split(parts);
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
  CHECK_EQ(kSize, sendmsg(pair[0], &message, 0));
  return argument;
}

static void drain(void* (*sender)(void*)) {
  memset(received, 0, kSize);
  pthread_t thread = start_thread(sender, NULL);
  settle();
  size_t done = 0, step = 1;
  while (done < kSize) {
    wait_ready(pair[1], POLLIN);
    size_t want = kSize - done < step ? kSize - done : step;
    ssize_t n = read(pair[1], received + done, want);
    CHECK(n > 0 && (size_t)n <= want);
    done += (size_t)n;
    step = step * 11 % 200003;
    if (step % 8 == 0) usleep(50);
  }
  join_thread(thread);
  CHECK(memcmp(sent, received, kSize) == 0);
  CHECK_ERRNO(EAGAIN, recv(pair[1], received, 1, MSG_DONTWAIT));
}

static void run(void) {
  drain(by_write);
  drain(by_send);
  drain(by_writev);
  drain(by_sendmsg);
  CHECK_EQ(0, fcntl(pair[0], F_GETFL) & O_NONBLOCK);
  CHECK_OK(close(pair[0]));
  CHECK_OK(close(pair[1]));
}

int main(void) {
  sent = malloc(kSize);
  received = malloc(kSize);
  CHECK(sent && received);
  unsigned state = 54321;
  for (size_t i = 0; i < kSize; ++i) {
    sent[i] = (unsigned char)((state = state * 1103515245 + 12345) >> 16);
  }
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  run();
  pass("Unix stream socket");
  tcp_pair(pair);
  run();
  pass("TCP socket");
  return 0;
}
