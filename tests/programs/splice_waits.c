// splice, tee and vmsplice wait for whichever of their two ends is not ready, as long as it takes,
// and no longer than a socket's time limit; a signal interrupts them, and the others are not held
// up.
#include <fcntl.h>
#include <signal.h>
#include <sys/uio.h>

#include "net.h"

enum { kPage = 4096, kPipe = 16 * kPage, kWide = 512 << 10, kLarge = 4 << 20 };

static int in[2], out[2], wide[2], pair[2];
static unsigned char *content, *received;
static volatile int interrupted;

static void count(int signal) {
  (void)signal;
  ++interrupted;
}

static void fill(int fd) { CHECK_EQ(kPipe, write(fd, content, kPipe)); }

static void* tees(void* argument) { return (void*)tee(in[0], out[1], (size_t)argument, 0); }

static void* splices(void* argument) {
  return (void*)splice(in[0], NULL, out[1], NULL, (size_t)argument, 0);
}

static void* gives(void* argument) {
  struct iovec part = {content, (size_t)argument};
  return (void*)vmsplice(in[1], &part, 1, 0);
}

static void* takes(void* argument) {
  struct iovec part = {received, (size_t)argument};
  return (void*)vmsplice(in[0], &part, 1, 0);
}

static void* takes_from_socket(void* argument) {
  return (void*)splice(pair[1], NULL, in[1], NULL, (size_t)argument, 0);
}

static void* gives_to(void* argument) {
  return (void*)splice(wide[0], NULL, (int)(long)argument, NULL, kWide, 0);
}

static void* fails(void* argument) {
  long result = (long)splice(in[0], NULL, out[1], NULL, 10, 0);
  return (void*)(result == -1 && errno == EINTR ? argument : NULL);
}

static long result_of(pthread_t thread) {
  void* result;
  CHECK_EQ(0, pthread_join(thread, &result));
  return (long)result;
}

// What is sent comes back, through pipes of every fill; two threads are at one socket, one a way.
static void* forwards(void* argument) {
  for (size_t done = 0; done < kLarge;) {
    ssize_t n = splice(pair[1], NULL, in[1], NULL, 70000, 0);
    CHECK(n > 0);
    done += (size_t)n;
  }
  return argument;
}
static void* forwards_on(void* argument) {
  for (size_t done = 0; done < kLarge;) {
    ssize_t n = splice(in[0], NULL, out[1], NULL, 50000, 0);
    CHECK(n > 0);
    done += (size_t)n;
  }
  return argument;
}
static void* sends_back(void* argument) {
  for (size_t done = 0; done < kLarge;) {
    ssize_t n = splice(out[0], NULL, pair[1], NULL, 33333, 0);
    CHECK(n > 0);
    done += (size_t)n;
  }
  return argument;
}
static void* sends(void* argument) {
  for (size_t done = 0; done < kLarge;) {
    ssize_t n = send(pair[0], content + done, kLarge - done < 60000 ? kLarge - done : 60000, 0);
    CHECK(n > 0);
    done += (size_t)n;
  }
  return argument;
}

int main(void) {
  content = malloc(kLarge);
  received = calloc(1, kLarge);
  for (int i = 0; i < kLarge; ++i) content[i] = (unsigned char)(i * 7 + i / 253);
  CHECK_OK(pipe(in));
  CHECK_OK(pipe(out));
  tcp_pair(pair);

  pthread_t thread = start_thread(splices, (void*)5);
  settle();
  CHECK_EQ(5, write(in[1], "words", 5));
  CHECK_EQ(5, result_of(thread));
  read_all(out[0], (char*)received, 5);
  CHECK(memcmp(received, "words", 5) == 0);
  pass("splice waits for bytes");

  fill(out[1]);
  CHECK_EQ(5, write(in[1], "words", 5));
  thread = start_thread(splices, (void*)5);
  settle();
  read_all(out[0], (char*)received, kPipe);
  CHECK_EQ(5, result_of(thread));
  read_all(out[0], (char*)received, 5);
  pass("splice waits for room");

  fill(out[1]);
  thread = start_thread(tees, (void*)5);
  settle();
  CHECK_EQ(5, write(in[1], "words", 5));
  settle();
  read_all(out[0], (char*)received, kPipe);
  CHECK_EQ(5, result_of(thread));
  read_all(out[0], (char*)received, 5);
  read_all(in[0], (char*)received, 5);
  pass("tee waits for bytes, then for room");

  fill(in[1]);
  thread = start_thread(gives, (void*)kPage);
  settle();
  read_all(in[0], (char*)received, kPipe);
  CHECK_EQ(kPage, result_of(thread));
  read_all(in[0], (char*)received, kPage);
  CHECK(memcmp(received, content, kPage) == 0);
  thread = start_thread(takes, (void*)10);
  settle();
  CHECK_EQ(5, write(in[1], "pages", 5));
  CHECK_EQ(5, result_of(thread));
  CHECK(memcmp(received, "pages", 5) == 0);
  pass("vmsplice waits for room and for bytes");

  thread = start_thread(takes_from_socket, (void*)100);
  settle();
  CHECK_EQ(5, send(pair[0], "bytes", 5, 0));
  CHECK_EQ(5, result_of(thread));
  read_all(in[0], (char*)received, 5);
  struct timeval limit = {0, 30000};
  CHECK_OK(setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
  CHECK_ERRNO(EAGAIN, splice(pair[1], NULL, in[1], NULL, 10, 0));
  limit.tv_usec = 0;
  CHECK_OK(setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
  CHECK_EQ(0, fcntl(pair[1], F_GETFL) & O_NONBLOCK);
  pass("a socket's data, and its time limit");

  struct sigaction action = {.sa_handler = count};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  thread = start_thread(fails, (void*)1);
  settle();
  CHECK_EQ(0, pthread_kill(thread, SIGUSR1));
  CHECK_EQ(1, result_of(thread));
  CHECK_EQ(1, interrupted);
  pass("a signal interrupts");

  pthread_t threads[] = {start_thread(forwards, NULL), start_thread(forwards_on, NULL),
                         start_thread(sends_back, NULL), start_thread(sends, NULL)};
  memset(received, 0, kLarge);
  for (size_t done = 0; done < kLarge;) {
    ssize_t n = recv(pair[0], received + done, kLarge - done, 0);
    CHECK(n > 0);
    done += (size_t)n;
  }
  for (int i = 0; i < 4; ++i) join_thread(threads[i]);
  CHECK(memcmp(content, received, kLarge) == 0);
  pass("to a socket and back, through two pipes");

  int narrow[2];
  int little = 8192;
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, narrow));
  CHECK_OK(setsockopt(narrow[0], SOL_SOCKET, SO_SNDBUF, &little, sizeof little));
  CHECK_OK(pipe(wide));
  CHECK_EQ(kWide, fcntl(wide[1], F_SETPIPE_SZ, kWide));
  CHECK_EQ(kWide, write(wide[1], content, kWide));
  thread = start_thread(gives_to, (void*)(long)narrow[0]);
  settle();
  read_all(narrow[1], (char*)received, kWide);
  CHECK_EQ(kWide, result_of(thread));
  CHECK(memcmp(content, received, kWide) == 0);
  pass("a blocking socket takes all that there is");

  CHECK_OK(fcntl(narrow[1], F_SETFL, O_NONBLOCK));
  CHECK_ERRNO(EAGAIN, splice(narrow[1], NULL, in[1], NULL, 10, 0));
  CHECK_EQ(5, send(narrow[0], "words", 5, 0));
  CHECK_EQ(5, splice(narrow[1], NULL, in[1], NULL, 10, 0));
  read_all(in[0], (char*)received, 5);
  CHECK(fcntl(narrow[1], F_GETFL) & O_NONBLOCK);
  CHECK_OK(fcntl(in[0], F_SETFL, O_NONBLOCK));
  CHECK_ERRNO(EAGAIN, splice(in[0], NULL, narrow[0], NULL, 10, 0));
  CHECK_ERRNO(EAGAIN, tee(in[0], out[1], 10, 0));
  CHECK_OK(fcntl(in[0], F_SETFL, 0));
  pass("who is not to wait does not");

  signal(SIGPIPE, count);
  CHECK_OK(close(out[0]));
  CHECK_EQ(5, write(in[1], "words", 5));
  CHECK_ERRNO(EPIPE, splice(in[0], NULL, out[1], NULL, 5, 0));
  CHECK_EQ(2, interrupted);
  CHECK_OK(close(in[1]));
  read_all(in[0], (char*)received, 5);
  CHECK_EQ(0, splice(in[0], NULL, pair[0], NULL, 5, 0));
  pass("ends");
  return 0;
}
