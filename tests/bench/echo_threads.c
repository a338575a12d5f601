// Echo by a blocking thread per connection. Runs native and, unmodified, under tendril.
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "echo_server.h"

static void* serve(void* argument) {
  int fd = (int)(intptr_t)argument;
  char buffer[kEchoBuffer];
  for (;;) {
    ssize_t received = read(fd, buffer, sizeof buffer);
    if (received <= 0) break;
    for (ssize_t sent = 0; sent < received;) {
      ssize_t written = write(fd, buffer + sent, (size_t)(received - sent));
      if (written < 0) goto gone;
      sent += written;
    }
  }
gone:
  close(fd);
  return NULL;
}

int main(void) {
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
