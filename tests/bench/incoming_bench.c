// What comes from another process and is served by one thread while other workers have nothing to
// do. Plain pthreads, run native and, unmodified, under tendril; the other process is a child with
// one thread, which stays native.
//
//   incoming_bench stream             messages of 200 bytes, read as they come, 4 KiB at most
//   incoming_bench accepts own        connections, each for an echo of 5 bytes
//   incoming_bench accepts inherited  the same, on a listening socket that the other process has
//   too
//
// Prints `metric=value` lines, times in nanoseconds: `each` by the clock, `cpu` of this process.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kMessages = 600 * 1000, kMessage = 200, kRead = 4096, kConnections = 10000 };

static void die(const char* what) {
  perror(what);
  exit(1);
}

static double now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e9 + time.tv_nsec;
}

// Of the process, all its OS threads.
static double cpu_ns(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e9 +
         (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e3;
}

static int listener;
static struct sockaddr_in address;

static void make_listener(void) {
  socklen_t size = sizeof address;
  listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0) die("socket");
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (struct sockaddr*)&address, size) < 0) die("bind");
  if (listen(listener, 100) < 0) die("listen");
  if (getsockname(listener, (struct sockaddr*)&address, &size) < 0) die("getsockname");
}

static int connected(void) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  if (fd < 0) die("socket");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd, (struct sockaddr*)&address, sizeof address) < 0) die("connect");
  return fd;
}

static void send_stream(void) {
  const int fd = connected();
  const char message[kMessage] = {0};
  for (int i = 0; i < kMessages; ++i) {
    if (write(fd, message, sizeof message) != sizeof message) die("write");
  }
}

static void ask_for_echoes(void) {
  for (int i = 0; i < kConnections; ++i) {
    const int fd = connected();
    char answer[5];
    if (write(fd, "hello", 5) != 5) die("write");
    if (recv(fd, answer, sizeof answer, MSG_WAITALL) != 5) die("recv");
    close(fd);
  }
}

static void* reads_stream(void* argument) {
  const int fd = accept(listener, NULL, NULL);
  if (fd < 0) die("accept");
  char buffer[kRead];
  ssize_t size;
  while ((size = read(fd, buffer, sizeof buffer)) > 0) {
  }
  if (size < 0) die("read");
  return argument;
}

static void* serves_echoes(void* argument) {
  for (int i = 0; i < kConnections; ++i) {
    const int fd = accept(listener, NULL, NULL);
    if (fd < 0) die("accept");
    char buffer[5];
    if (recv(fd, buffer, sizeof buffer, MSG_WAITALL) != 5) die("recv");
    if (write(fd, buffer, sizeof buffer) != 5) die("write");
    close(fd);
  }
  return argument;
}

static void* does_nothing(void* argument) { return argument; }

static void run_thread(void* (*body)(void*)) {
  pthread_t thread;
  const int error = pthread_create(&thread, NULL, body, NULL);
  if (error != 0) {
    fprintf(stderr, "incoming_bench: pthread_create: %s\n", strerror(error));
    exit(1);
  }
  pthread_join(thread, NULL);
}

static void bench(void (*client)(void), void* (*server)(void*), int count, int inherited) {
  int told[2];
  if (pipe(told) < 0) die("pipe");
  if (inherited) make_listener();
  const pid_t child = fork();
  if (child < 0) die("fork");
  if (child == 0) {
    close(told[1]);
    if (read(told[0], &address, sizeof address) != sizeof address) _exit(1);
    client();
    _exit(0);
  }
  run_thread(does_nothing);  // what the process makes from now on is known to be its own
  if (!inherited) make_listener();
  if (write(told[1], &address, sizeof address) != sizeof address) die("write");
  const double begin = now_ns();
  const double cpu_begin = cpu_ns();
  run_thread(server);
  printf("each=%.0f\ncpu=%.0f\n", (now_ns() - begin) / count, (cpu_ns() - cpu_begin) / count);
  int status;
  if (waitpid(child, &status, 0) < 0 || status != 0) {
    fprintf(stderr, "incoming_bench: the other process has failed\n");
    exit(1);
  }
}

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "";
  const char* listener_is = argc > 2 ? argv[2] : "";
  if (strcmp(what, "stream") == 0) {
    bench(send_stream, reads_stream, kMessages, 0);
  } else if (strcmp(what, "accepts") == 0 && strcmp(listener_is, "own") == 0) {
    bench(ask_for_echoes, serves_echoes, kConnections, 0);
  } else if (strcmp(what, "accepts") == 0 && strcmp(listener_is, "inherited") == 0) {
    bench(ask_for_echoes, serves_echoes, kConnections, 1);
  } else {
    fprintf(stderr, "usage: incoming_bench stream | accepts own | accepts inherited\n");
    return 2;
  }
  return 0;
}
