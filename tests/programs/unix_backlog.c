// connect to a Unix socket whose backlog is full blocks until there is room, or fails with EAGAIN
// if the socket does not block.
#include <sys/un.h>

#include "check.h"

enum { kClients = 20 };

static struct sockaddr_un address = {.sun_family = AF_UNIX};

static void* connects(void* argument) {
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  CHECK_OK(fd);
  CHECK_OK(connect(fd, (struct sockaddr*)&address, sizeof address));
  char c = 0;
  CHECK_EQ(1, read(fd, &c, 1));
  CHECK_EQ('k', c);
  CHECK_OK(close(fd));
  return argument;
}

int main(void) {
  snprintf(address.sun_path, sizeof address.sun_path, "/tmp/tendril-test-%d", (int)getpid());
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  CHECK_OK(listener);
  CHECK_OK(bind(listener, (struct sockaddr*)&address, sizeof address));
  CHECK_OK(listen(listener, 1));

  pthread_t threads[kClients];
  for (int i = 0; i < kClients; ++i) threads[i] = start_thread(connects, NULL);
  int refused = 0;
  int64_t begin = mono_ns();
  while (!refused) {  // until the backlog is full
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK_OK(fd);
    if (connect(fd, (struct sockaddr*)&address, sizeof address) == -1) {
      CHECK_EQ(EAGAIN, errno);
      refused = 1;
    } else {
      CHECK(mono_ns() - begin < MS(kBoundMs));
    }
    CHECK_OK(close(fd));
  }
  pass("EAGAIN when the backlog is full");

  for (int served = 0; served < kClients;) {
    wait_ready(listener, POLLIN);
    int fd = accept(listener, NULL, NULL);
    CHECK_OK(fd);
    served += send(fd, "k", 1, MSG_NOSIGNAL) == 1;  // those of the loop above have left
    CHECK_OK(close(fd));
  }
  for (int i = 0; i < kClients; ++i) join_thread(threads[i]);
  CHECK_OK(unlink(address.sun_path));
  pass("the others waited for room");
  return 0;
}
