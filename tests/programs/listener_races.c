// A listening socket that another takes the number of while threads accept on it: whoever connects
// to either is taken or reset, and who accepts hears of the new one.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "check.h"

enum { kNumber = 250 };

static int over;  // atomic

static unsigned long accepted;  // atomic

static void* accept_any(void* argument) {
  while (!__atomic_load_n(&over, __ATOMIC_SEQ_CST)) {
    const int fd = accept(kNumber, NULL, NULL);
    if (fd == -1) {  // EINVAL: it was shut down
      CHECK(errno == EBADF || errno == EINVAL);
      sched_yield();
      continue;
    }
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    uint16_t port;
    CHECK_OK(getsockname(fd, (struct sockaddr*)&own, &size));
    const ssize_t got = recv(fd, &port, sizeof port, MSG_WAITALL);
    // Whose client gave up has said nothing; all others have said where they wanted to.
    if (got == (ssize_t)sizeof port) {
      CHECK_EQ(own.sin_port, port);
      __atomic_add_fetch(&accepted, 1, __ATOMIC_RELAXED);
    }
    CHECK_OK(close(fd));
  }
  return argument;
}

static void* replace_listener(void* argument) {
  for (int round = 0; round < 60; ++round) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_OK(listener);
    CHECK_OK(bind(listener, (struct sockaddr*)&address, size));
    CHECK_OK(listen(listener, 16));
    CHECK_OK(getsockname(listener, (struct sockaddr*)&address, &size));
    CHECK_OK(dup2(listener, kNumber));
    for (int i = 0; i < 3; ++i) {
      const int client = socket(AF_INET, SOCK_STREAM, 0);
      CHECK_OK(client);
      CHECK_OK(connect(client, (struct sockaddr*)&address, sizeof address));
      CHECK_EQ(sizeof address.sin_port, write(client, &address.sin_port, sizeof address.sin_port));
      char none;
      // Taken, or reset when the listener goes: both end it.
      if (round % 2 == 0 && recv(client, &none, 1, 0) == -1) CHECK_EQ(ECONNRESET, errno);
      CHECK_OK(close(client));
    }
    if (round % 5 == 4) CHECK_OK(close(kNumber));
    CHECK_OK(shutdown(listener, SHUT_RDWR));  // who accepts on the old file is told
    CHECK_OK(close(listener));
  }
  return argument;
}
int main(void) {
  pthread_t threads[3];
  int count = 0;
  for (int i = 0; i < 3; ++i) threads[count++] = start_thread(accept_any, NULL);
  join_thread(start_thread(replace_listener, NULL));
  __atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
  for (int i = 0; i < count; ++i) join_thread(threads[i]);
  CHECK(accepted > 0);
  pass("listeners that are taken over");
  return 0;
}
