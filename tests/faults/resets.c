// Connections that are reset at any time: whoever is told so closes, and the client comes again
// with the message that it has had no answer to. Each answer must be that to its message.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tolerance.h"

enum { kClients = 16, kMessages = 20, kSize = 200 };

static struct sockaddr_in address;
static int listener;
static int unfinished = kClients;  // atomic

// False if the connection was reset. An end where there should be more is the other side's reset.
static int transfer(int fd, unsigned char* bytes, size_t size, int sends) {
  for (size_t done = 0; done < size;) {
    const ssize_t moved = sends ? send(fd, bytes + done, size - done, MSG_NOSIGNAL)
                                : recv(fd, bytes + done, size - done, 0);
    if (moved > 0) {
      done += (size_t)moved;
    } else if (moved == 0 && !sends) {
      return 0;
    } else if (errno == ECONNRESET || errno == EPIPE) {
      return 0;
    } else if (!is_want(errno)) {
      broken(sends ? "send" : "recv", moved);
    }
  }
  return 1;
}

static void* serve(void* argument) {
  const int fd = (int)(intptr_t)argument;
  unsigned char message[kSize];
  while (transfer(fd, message, sizeof message, 0)) {
    for (size_t i = 0; i < sizeof message; ++i) message[i] ^= 0x5a;
    if (!transfer(fd, message, sizeof message, 1)) break;
  }
  close(fd);
  return NULL;
}

static void* accept_all(void* argument) {
  pthread_attr_t detached;
  pthread_attr_init(&detached);
  pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
  for (;;) {
    const int fd = (int)TRY("accept", ECONNABORTED, accept(listener, NULL, NULL));
    if (__atomic_load_n(&unfinished, __ATOMIC_SEQ_CST) == 0) break;
    pthread_t thread;
    int error;
    while ((error = pthread_create(&thread, &detached, serve, (void*)(intptr_t)fd)) == EAGAIN)
      sched_yield();
    if (error != 0) broken("pthread_create", error);
  }
  return argument;
}

static int connect_to_server(void) {
  const int fd = (int)TRY("socket", 0, socket(AF_INET, SOCK_STREAM, 0));
  TRY("connect", EAGAIN, connect(fd, (struct sockaddr*)&address, sizeof address));
  return fd;
}

static void* ask(void* argument) {
  const unsigned number = (unsigned)(uintptr_t)argument;
  int fd = connect_to_server();
  for (unsigned count = 0; count < kMessages;) {
    unsigned char message[kSize], answer[kSize];
    for (size_t i = 0; i < sizeof message; ++i)
      message[i] = (unsigned char)(number * 37 + count * 11 + i);
    if (!transfer(fd, message, sizeof message, 1) || !transfer(fd, answer, sizeof answer, 0)) {
      close(fd);
      fd = connect_to_server();
      continue;
    }
    for (size_t i = 0; i < sizeof message; ++i) {
      if ((message[i] ^ 0x5a) != answer[i]) broken("the answer to another message", (long)i);
    }
    ++count;
  }
  close(fd);
  if (__atomic_sub_fetch(&unfinished, 1, __ATOMIC_SEQ_CST) == 0) close(connect_to_server());
  return NULL;
}

int main(void) {
  listener = (int)TRY("socket", 0, socket(AF_INET, SOCK_STREAM, 0));
  address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (bind(listener, (struct sockaddr*)&address, size) != 0 || listen(listener, kClients) != 0 ||
      getsockname(listener, (struct sockaddr*)&address, &size) != 0)
    broken("listen", -1);
  const pthread_t accepts = start(accept_all, NULL);
  pthread_t clients[kClients];
  for (uintptr_t i = 0; i < kClients; ++i) clients[i] = start(ask, (void*)i);
  for (size_t i = 0; i < kClients; ++i) join(clients[i]);
  join(accepts);
  puts("every message was answered");
  return 0;
}
