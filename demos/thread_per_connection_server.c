// A small HTTP/1.1 keep-alive server as it has been written for thirty years: one thread per
// connection, every call blocking. It knows nothing of Tendril.
//
//   thread_per_connection_server [--port N] [--work-us N]
//
//   GET /anything   ->  Hello /anything, this is request 3 of your connection.
//
// --work-us mimics a slow back end: each answer takes that long. Port 0 (the default) takes any
// free port; the first line on stdout says which. SIGTERM and SIGINT end the server.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kRequestMax = 2048, kBacklog = 4096 };

static long work_us;

// Each connection's thread counts its own requests here: a thread-local that has to stay apart.
static _Thread_local unsigned requests_of_connection;

static void work(void) {
  struct timespec left = {work_us / 1000000, work_us % 1000000 * 1000};
  while (nanosleep(&left, &left) < 0 && errno == EINTR) {
  }
}

static int write_all(int fd, const char* data, size_t size) {
  while (size > 0) {
    ssize_t written = write(fd, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return -1;
    data += written;
    size -= (size_t)written;
  }
  return 0;
}

static int answer(int fd, const char* request) {
  char path[256];
  char body[512];
  char response[1024];
  const char* status = "200 OK";
  int body_size;

  requests_of_connection++;
  if (sscanf(request, "GET %255s HTTP/1.", path) == 1) {
    body_size = snprintf(body, sizeof body, "Hello %s, this is request %u of your connection.\n",
                         path, requests_of_connection);
  } else {
    status = "400 Bad Request";
    body_size = snprintf(body, sizeof body, "Only GET is spoken here.\n");
  }
  if (work_us > 0) work();
  int size = snprintf(response, sizeof response,
                      "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s",
                      status, body_size, body);
  return write_all(fd, response, (size_t)size);
}

static void* serve(void* argument) {
  int fd = (int)(intptr_t)argument;
  char request[kRequestMax + 1];
  size_t held = 0;

  for (;;) {
    request[held] = '\0';
    char* end = strstr(request, "\r\n\r\n");
    if (end != NULL) {
      end[2] = '\0';
      int wants_close = strcasestr(request, "\r\nConnection: close\r\n") != NULL;
      if (answer(fd, request) < 0 || wants_close) break;
      size_t used = (size_t)(end + 4 - request);
      held -= used;
      memmove(request, request + used, held);
      continue;
    }
    if (held == kRequestMax) break;
    ssize_t received = read(fd, request + held, kRequestMax - held);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) break;
    held += (size_t)received;
  }
  close(fd);
  return NULL;
}

static void stop(int signal_number) {
  (void)signal_number;
  _exit(0);
}

static void die(const char* what) {
  perror(what);
  exit(1);
}

int main(int argc, char** argv) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  for (int i = 1; i < argc; i += 2) {
    char* end = NULL;
    long value = i + 1 < argc ? strtol(argv[i + 1], &end, 10) : -1;
    if (value < 0 || end == argv[i + 1] || *end != '\0') value = -1;
    if (strcmp(argv[i], "--port") == 0 && value >= 0 && value < 65536) {
      address.sin_port = htons((uint16_t)value);
    } else if (strcmp(argv[i], "--work-us") == 0 && value >= 0) {
      work_us = value;
    } else {
      fprintf(stderr, "usage: %s [--port N] [--work-us N]\n", argv[0]);
      return 2;
    }
  }
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

  signal(SIGPIPE, SIG_IGN);
  signal(SIGTERM, stop);
  signal(SIGINT, stop);

  int on = 1;
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0) die("socket");
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr*)&address, sizeof address) < 0) die("bind");
  if (listen(listener, kBacklog) < 0) die("listen");
  if (getsockname(listener, (struct sockaddr*)&address, &size) < 0) die("getsockname");
  printf("listening on http://127.0.0.1:%d/\n", ntohs(address.sin_port));
  fflush(stdout);

  pthread_attr_t detached;
  pthread_attr_init(&detached);
  pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
  for (;;) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      perror("accept");
      usleep(10000);  // out of descriptors: some connection will end
      continue;
    }
    pthread_t thread;
    int error = pthread_create(&thread, &detached, serve, (void*)(intptr_t)fd);
    if (error != 0) {
      fprintf(stderr, "pthread_create: %s\n", strerror(error));
      close(fd);
    }
  }
}
