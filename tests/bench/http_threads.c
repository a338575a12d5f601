// HTTP keep-alive by a blocking thread per connection, which computes before it answers. Runs
// native and, unmodified, under tendril.
//
//   http_threads [ROUNDS]      rounds of computing for each request (0), about 2 ns each
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "compute.h"
#include "echo_server.h"

static uint64_t rounds;

static int answer(int fd, uint64_t result) {
  char response[256];
  char body[32];
  int body_size = snprintf(body, sizeof body, "%016llx\n", (unsigned long long)result);
  int size = snprintf(response, sizeof response,
                      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s",
                      body_size, body);
  for (int sent = 0; sent < size;) {
    ssize_t written = write(fd, response + sent, (size_t)(size - sent));
    if (written < 0) return -1;
    sent += (int)written;
  }
  return 0;
}

static void* serve(void* argument) {
  int fd = (int)(intptr_t)argument;
  char request[kEchoBuffer + 1];
  size_t held = 0;
  for (;;) {
    ssize_t received = read(fd, request + held, kEchoBuffer - held);
    if (received <= 0) break;
    held += (size_t)received;
    request[held] = '\0';
    // The load generator sends a request only after the answer to the one before.
    if (strstr(request, "\r\n\r\n") == NULL) continue;
    held = 0;
    if (answer(fd, compute(rounds, (uintptr_t)argument)) < 0) break;
  }
  close(fd);
  return NULL;
}

int main(int argc, char** argv) {
  char* end = NULL;
  errno = 0;
  rounds = argc > 1 ? strtoull(argv[1], &end, 10) : 0;
  if (argc > 2 || errno != 0 || (argc > 1 && (*argv[1] == '-' || end == argv[1] || *end != '\0'))) {
    fprintf(stderr, "usage: http_threads [ROUNDS]\n");
    return 2;
  }
  int listener = listen_and_announce();
  pthread_attr_t detached;
  pthread_attr_init(&detached);
  pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
  for (;;) {
    pthread_t thread;
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) die("accept");
    int error = pthread_create(&thread, &detached, serve, (void*)(intptr_t)fd);
    if (error != 0) {
      fprintf(stderr, "pthread_create: %s\n", strerror(error));
      close(fd);
    }
  }
}
