// Unix datagram sockets: messages keep their boundaries and senders, and a full queue blocks the
// sender until there is room.
#include <sys/un.h>

#include "check.h"

enum { kSenders = 10, kMessages = 200 };

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static socklen_t address_size;

// An abstract address leaves nothing behind in the file system.
static socklen_t abstract_name(struct sockaddr_un* a, const char* name, int id) {
  a->sun_family = AF_UNIX;
  a->sun_path[0] = '\0';
  int n = snprintf(a->sun_path + 1, sizeof a->sun_path - 1, "tendril-%d-%s-%d", (int)getpid(), name,
                   id);
  return (socklen_t)((size_t)n + 1 + sizeof a->sun_family);
}

static void* sends(void* argument) {
  int id = (int)(intptr_t)argument;
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  CHECK_OK(fd);
  struct sockaddr_un own;
  socklen_t size = abstract_name(&own, "sender", id);
  CHECK_OK(bind(fd, (struct sockaddr*)&own, size));
  for (int i = 0; i < kMessages; ++i) {
    char text[300];
    int n = snprintf(text, sizeof text, "%d %d ", id, i);
    memset(text + n, '.', (size_t)(i + 1));
    n += i + 1;
    CHECK_EQ(n, sendto(fd, text, (size_t)n, 0, (struct sockaddr*)&address, address_size));
  }
  CHECK_OK(close(fd));
  return argument;
}

int main(void) {
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  CHECK_OK(fd);
  address_size = abstract_name(&address, "receiver", 0);
  CHECK_OK(bind(fd, (struct sockaddr*)&address, address_size));

  pthread_t threads[kSenders];
  for (intptr_t i = 0; i < kSenders; ++i) threads[i] = start_thread(sends, (void*)i);
  settle();  // the queue holds few messages: the senders block
  int next[kSenders] = {0};
  for (int i = 0; i < kSenders * kMessages; ++i) {
    char text[400];
    struct sockaddr_un from, expected;
    socklen_t size = sizeof from;
    wait_ready(fd, POLLIN);
    ssize_t n = recvfrom(fd, text, sizeof text - 1, 0, (struct sockaddr*)&from, &size);
    CHECK(n > 0);
    text[n] = '\0';
    int id = -1, number = -1, used = 0;
    CHECK_EQ(2, sscanf(text, "%d %d %n", &id, &number, &used));
    CHECK(id >= 0 && id < kSenders);
    CHECK_EQ(next[id]++, number);
    CHECK_EQ(number + 1, n - used);
    CHECK_EQ(abstract_name(&expected, "sender", id), size);
    CHECK(memcmp(&expected, &from, size) == 0);
  }
  for (int i = 0; i < kSenders; ++i) join_thread(threads[i]);
  pass("in order, whole, from whom");

  struct sockaddr_un nobody;
  socklen_t size = abstract_name(&nobody, "nobody", 0);
  CHECK_ERRNO(ECONNREFUSED, sendto(fd, "x", 1, 0, (struct sockaddr*)&nobody, size));
  int pair[2];
  CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
  CHECK_EQ(3, send(pair[0], "one", 3, 0));
  CHECK_EQ(3, send(pair[0], "two", 3, 0));
  char text[10] = {0};
  CHECK_EQ(3, recv(pair[1], text, sizeof text, 0));
  CHECK_STR("one", text);
  CHECK_OK(close(pair[0]));
  CHECK_EQ(3, recv(pair[1], text, sizeof text, 0));
  CHECK_EQ(0, recv(pair[1], text, sizeof text, 0));
  pass("seqpacket, and nobody there");
  return 0;
}
