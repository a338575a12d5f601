// A read that brings less than it asked for says nothing about what comes next: the end, data after
// an urgent mark, data that did not fit into what could be written, the next message. Whatever is
// there already, the next read gives at once; whatever comes later wakes it.
#include <sys/mman.h>
#include <sys/uio.h>

#include "net.h"

enum { kPairs = 8, kTurns = 1500, kStream = 1 << 20, kSegment = 100, kSegments = 200 };

static sem_t began, arrived;
static int end_of[2];

static void text(int fd, const char* expected) {
  char buffer[512];
  ssize_t got = read(fd, buffer, sizeof buffer);
  CHECK_EQ(strlen(expected), got);
  CHECK(memcmp(buffer, expected, (size_t)got) == 0);
}

static void put(int fd, const char* what, int flags) {
  CHECK_EQ(strlen(what), send(fd, what, strlen(what), flags | MSG_NOSIGNAL));
}

// Runs a reader that has waited on the socket once, and gives it more when `prepare` has run and
// what it sent has had time to arrive.
struct scene {
  int pair[2];
  void (*rest)(int fd);
};

static void* act(void* argument) {
  struct scene* scene = argument;
  text(scene->pair[1], "first");
  sem_post(&began);
  sem_take(&arrived);
  scene->rest(scene->pair[1]);
  return NULL;
}

static void play(const char* property, int unix_pair, void (*prepare)(int fd),
                 void (*rest)(int fd)) {
  struct scene scene = {.rest = rest};
  if (unix_pair) {
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, scene.pair));
  } else {
    tcp_pair(scene.pair);
  }
  pthread_t thread = start_thread(act, &scene);
  settle();  // it waits
  put(scene.pair[0], "first", 0);
  sem_take(&began);
  if (prepare != NULL) prepare(scene.pair[0]);
  settle();
  sem_post(&arrived);
  join_thread(thread);
  close(scene.pair[0]);
  close(scene.pair[1]);
  pass(property);
}

static void send_and_end(int fd) {
  int on = 1;
  CHECK_OK(setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on));
  put(fd, "last", 0);
  CHECK_OK(shutdown(fd, SHUT_WR));
}

static void expect_end(int fd) {
  char byte;
  text(fd, "last");
  CHECK_EQ(0, read(fd, &byte, 1));
}

static void send_urgent(int fd) {
  put(fd, "abc", 0);
  put(fd, "!", MSG_OOB);
  put(fd, "def", 0);
}

static void expect_mark(int fd) {
  text(fd, "abc");
  text(fd, "def");
}

// More segments than Linux puts into one buffer of its own: it copies whole ones, or says EFAULT.
static void send_segments(int fd) {
  char segment[kSegment];
  int on = 1;
  memset(segment, 'b', sizeof segment);
  CHECK_OK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
  for (int i = 0; i < kSegments; i++) CHECK_EQ(kSegment, send(fd, segment, kSegment, 0));
}

static void read_into_too_little(int fd) {
  char buffer[8192];
  size_t page = (size_t)sysconf(_SC_PAGESIZE), done = 0;
  char* memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  CHECK_OK(mprotect(memory + page, page, PROT_NONE));
  ssize_t got = read(fd, memory, 2 * page);
  CHECK_BETWEEN(1, got, page);
  for (done = (size_t)got; done < kSegment * kSegments; done += (size_t)got) {
    got = read(fd, buffer, sizeof buffer);
    CHECK(got > 0);
  }
  CHECK_EQ(kSegment * kSegments, done);
  CHECK_OK(munmap(memory, 2 * page));
}

static void send_descriptor(int fd) {
  char control[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec part = {"with", 4};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  *header = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  CHECK_EQ(4, sendmsg(fd, &message, 0));
  put(fd, "after", 0);
}

static void expect_boundary(int fd) {
  text(fd, "with");
  text(fd, "after");
}

static void send_once(int fd) { put(fd, "peeked", 0); }

static void peek_first(int fd) {
  char buffer[100];
  CHECK_EQ(6, recv(fd, buffer, sizeof buffer, MSG_PEEK));
  text(fd, "peeked");
}

// The same number, another socket, that has data before anybody looks.
static void reuse_number(int fd) {
  int pair[2];
  tcp_pair(pair);
  put(pair[0], "other", 0);
  settle();
  CHECK_EQ(fd, dup2(pair[1], fd));
  close(pair[1]);
  text(fd, "other");
  close(pair[0]);
}

static void* shut_down_later(void* argument) {
  (void)argument;
  settle();
  CHECK_OK(shutdown(end_of[1], SHUT_RD));
  return NULL;
}

static void expect_shutdown(int fd) {
  char byte;
  end_of[1] = dup(fd);
  CHECK_OK(end_of[1]);
  pthread_t thread = start_thread(shut_down_later, NULL);
  CHECK_EQ(0, read(fd, &byte, 1));
  join_thread(thread);
  close(end_of[1]);
}

// Each turn depends on the last one: a wake that gets lost ends it.
static void* echo(void* argument) {
  int fd = *(int*)argument;
  char buffer[4096];
  ssize_t got;
  while ((got = read(fd, buffer, sizeof buffer)) > 0) CHECK_EQ(got, write(fd, buffer, (size_t)got));
  CHECK_EQ(0, got);
  return NULL;
}

static void* talk(void* argument) {
  int fd = *(int*)argument;
  unsigned seed = (unsigned)fd;
  char out[700], in[1024];
  for (int turn = 0; turn < kTurns; turn++) {
    size_t size = 1 + (size_t)rand_r(&seed) % sizeof out, done = 0;
    memset(out, 'a' + turn % 26, size);
    size_t first = turn % 3 == 0 ? size / 2 : size;  // sometimes in two pieces
    CHECK_EQ(first, send(fd, out, first, 0));
    if (turn % 7 == 0) sched_yield();
    if (first < size) CHECK_EQ(size - first, send(fd, out + first, size - first, 0));
    while (done < size) {
      ssize_t got = turn % 2 == 0 ? read(fd, in + done, sizeof in - done)
                                  : recv(fd, in + done, sizeof in - done, 0);
      CHECK(got > 0);
      done += (size_t)got;
    }
    CHECK(memcmp(out, in, size) == 0);
  }
  CHECK_OK(shutdown(fd, SHUT_WR));
  return NULL;
}

static void many_turns(void) {
  static int pairs[kPairs][2];
  pthread_t threads[kPairs][2];
  for (int i = 0; i < kPairs; i++) {
    tcp_pair(pairs[i]);
    threads[i][0] = start_thread(echo, &pairs[i][0]);
    threads[i][1] = start_thread(talk, &pairs[i][1]);
  }
  for (int i = 0; i < kPairs; i++) {
    join_thread(threads[i][1]);
    join_thread(threads[i][0]);
    close(pairs[i][0]);
    close(pairs[i][1]);
  }
  pass("no turn of an echo gets lost");
}

// Several threads take from one socket, by two numbers: together they get every byte, and each of
// them the end.
static size_t taken[4];
static int numbers[2];

static void* take(void* argument) {
  size_t me = (size_t)argument;
  char buffer[1000];
  ssize_t got;
  while ((got = read(numbers[me % 2], buffer, sizeof buffer)) > 0) taken[me] += (size_t)got;
  CHECK_EQ(0, got);
  return NULL;
}

static void many_readers(void) {
  int pair[2];
  char piece[900];
  size_t sent = 0, sum = 0;
  unsigned seed = 1;
  pthread_t threads[4];
  tcp_pair(pair);
  memset(piece, 'x', sizeof piece);
  numbers[0] = pair[1];
  numbers[1] = dup(pair[1]);
  for (size_t i = 0; i < 4; i++) threads[i] = start_thread(take, (void*)i);
  while (sent < kStream) {
    size_t size = 1 + (size_t)rand_r(&seed) % sizeof piece;
    CHECK_EQ(size, send(pair[0], piece, size, 0));
    sent += size;
    if (size % 5 == 0) sched_yield();
  }
  CHECK_OK(shutdown(pair[0], SHUT_WR));
  for (size_t i = 0; i < 4; i++) {
    join_thread(threads[i]);
    sum += taken[i];
  }
  CHECK_EQ(sent, sum);
  close(pair[0]);
  close(numbers[0]);
  close(numbers[1]);
  pass("several readers get everything, and the end");
}

int main(void) {
  sem_init(&began, 0, 0);
  sem_init(&arrived, 0, 0);
  play("data and the end together", 0, send_and_end, expect_end);
  play("data after an urgent mark", 0, send_urgent, expect_mark);
  play("data that did not fit into what could be written", 0, send_segments, read_into_too_little);
  play("data after a descriptor", 1, send_descriptor, expect_boundary);
  play("data that was only peeked at", 0, send_once, peek_first);
  play("another socket under the same number", 0, NULL, reuse_number);
  play("a shutdown by another number", 0, NULL, expect_shutdown);
  many_turns();
  many_readers();
  return 0;
}
