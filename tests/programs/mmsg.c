// sendmmsg and recvmmsg: several messages in one call, blocking for the first one, timeouts.
#include "net.h"

enum { kMessages = 8 };

static int sender, receiver;

static void prepare(struct mmsghdr* messages, struct iovec* parts, char texts[][16], size_t size) {
  memset(messages, 0, sizeof *messages * kMessages);
  for (int i = 0; i < kMessages; ++i) {
    parts[i] = (struct iovec){texts[i], size ? size : strlen(texts[i])};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
}

static void* receives(void* argument) {
  struct mmsghdr messages[kMessages];
  struct iovec parts[kMessages];
  char texts[kMessages][16] = {{0}};
  int total = 0;
  while (total < kMessages) {
    prepare(messages, parts, texts, 16);
    int n = recvmmsg(receiver, messages, kMessages, MSG_WAITFORONE, NULL);
    CHECK(n > 0);
    for (int i = 0; i < n; ++i) {
      char expected[16];
      CHECK_EQ(snprintf(expected, 16, "message %d", total), messages[i].msg_len);
      CHECK(memcmp(expected, texts[i], messages[i].msg_len) == 0);
      ++total;
    }
  }
  return argument;
}

static void* receives_all(void* argument) {
  struct mmsghdr messages[kMessages];
  struct iovec parts[kMessages];
  char texts[kMessages][16] = {{0}};
  prepare(messages, parts, texts, 16);
  CHECK_EQ(kMessages, recvmmsg(receiver, messages, kMessages, 0, NULL));
  return argument;
}

static void send_all(int step) {
  struct mmsghdr messages[kMessages];
  struct iovec parts[kMessages];
  char texts[kMessages][16];
  for (int i = 0; i < kMessages; ++i) snprintf(texts[i], 16, "message %d", i);
  prepare(messages, parts, texts, 0);
  for (int i = 0; i < kMessages; i += step) {
    CHECK_EQ(step, sendmmsg(sender, messages + i, (unsigned)step, 0));
    CHECK_EQ(9, messages[i].msg_len);
    usleep(1000);
  }
}

int main(void) {
  int pair[2];
  CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
  sender = pair[0], receiver = pair[1];
  pthread_t thread = start_thread(receives, NULL);
  settle();
  send_all(kMessages);
  join_thread(thread);
  pass("blocks for the first");

  thread = start_thread(receives_all, NULL);
  settle();
  send_all(2);
  join_thread(thread);
  pass("blocks for all");

  struct mmsghdr messages[kMessages];
  struct iovec parts[kMessages];
  char texts[kMessages][16];
  prepare(messages, parts, texts, 16);
  CHECK_ERRNO(EAGAIN, recvmmsg(receiver, messages, kMessages, MSG_DONTWAIT, NULL));
  send_all(kMessages);
  CHECK_EQ(kMessages, recvmmsg(receiver, messages, kMessages, MSG_DONTWAIT, NULL));
  struct timeval t = {0, 50000};
  CHECK_OK(setsockopt(receiver, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
  int64_t begin = mono_ns();
  CHECK_ERRNO(EAGAIN, recvmmsg(receiver, messages, kMessages, 0, NULL));
  CHECK_BETWEEN(MS(49), mono_ns() - begin, MS(5000));
  pass("without blocking, and with a timeout");
  return 0;
}
