// A blocking thread-per-connection server and a thousand clients that are connected at once, in
// one process.
#include <netinet/in.h>
#include <sys/resource.h>

#include "check.h"

enum { kClients = 1000, kRounds = 5, kStack = 128 * 1024 };

static int listener;
static struct sockaddr_in address;
static pthread_attr_t attr;
static pthread_barrier_t connected;

static void send_line(int fd, const char* line, size_t size) {
  CHECK_EQ(size, send(fd, line, size, MSG_NOSIGNAL));
}

static void* serve(void* argument) {
  int fd = (int)(intptr_t)argument;
  char buffer[256];
  ssize_t n;
  while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0) send_line(fd, buffer, (size_t)n);
  CHECK_EQ(0, n);
  CHECK_OK(close(fd));
  return NULL;
}

static void* accept_all(void* argument) {
  static pthread_t threads[kClients];
  for (int i = 0; i < kClients; ++i) {
    int fd = accept(listener, NULL, NULL);
    CHECK_OK(fd);
    CHECK_RC(pthread_create(&threads[i], &attr, serve, (void*)(intptr_t)fd));
  }
  for (int i = 0; i < kClients; ++i) join_thread(threads[i]);
  return argument;
}

static void* client(void* argument) {
  int id = (int)(intptr_t)argument;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_OK(fd);
  CHECK_OK(connect(fd, (struct sockaddr*)&address, sizeof address));
  pthread_barrier_wait(&connected);
  for (int round = 0; round < kRounds; ++round) {
    char line[64], answer[64];
    int size = snprintf(line, sizeof line, "client %d round %d\n", id, round);
    send_line(fd, line, (size_t)size);
    CHECK_EQ(size, recv(fd, answer, (size_t)size, MSG_WAITALL));
    CHECK(memcmp(line, answer, (size_t)size) == 0);
  }
  CHECK_OK(shutdown(fd, SHUT_WR));
  char c;
  CHECK_EQ(0, recv(fd, &c, 1, 0));
  CHECK_OK(close(fd));
  return argument;
}

int main(void) {
  struct rlimit files;
  CHECK_OK(getrlimit(RLIMIT_NOFILE, &files));
  if (files.rlim_cur < kClients * 2 + 100) {
    files.rlim_cur = kClients * 2 + 100;
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &files));
  }
  CHECK_RC(pthread_attr_init(&attr));
  CHECK_RC(pthread_attr_setstacksize(&attr, kStack));
  CHECK_RC(pthread_barrier_init(&connected, NULL, kClients));
  listener = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_OK(listener);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  CHECK_OK(bind(listener, (struct sockaddr*)&address, size));
  CHECK_OK(listen(listener, 1024));
  CHECK_OK(getsockname(listener, (struct sockaddr*)&address, &size));

  pthread_t acceptor = start_thread(accept_all, NULL);
  static pthread_t clients[kClients];
  for (intptr_t i = 0; i < kClients; ++i) {
    CHECK_RC(pthread_create(&clients[i], &attr, client, (void*)i));
  }
  for (intptr_t i = 0; i < kClients; ++i) CHECK_EQ(i, (intptr_t)join_thread(clients[i]));
  pass("every client got its own lines");
  join_thread(acceptor);
  pass("every server thread ended");
  return 0;
}
