// 10,000 threads of one process, all alive at once, each talking over a socket: ten of them share a
// socket pair, as the limit of open files wants it.
#include <sys/resource.h>

#include "check.h"

enum { kThreads = 10000, kPairs = 500, kStack = 64 * 1024 };

static int pairs[kPairs][2];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int alive;
static __thread int mine;

static void* body(void* argument) {
  int fd = *(int*)argument, number = -1;
  CHECK_RC(pthread_mutex_lock(&mutex));
  mine = ++alive;
  if (alive == kThreads) CHECK_RC(pthread_cond_signal(&changed));
  CHECK_RC(pthread_mutex_unlock(&mutex));

  int before = mine;
  usleep(1000);
  CHECK_EQ(sizeof number, recv(fd, &number, sizeof number, 0));
  CHECK_EQ(before, mine);
  number *= 2;
  CHECK_EQ(sizeof number, send(fd, &number, sizeof number, MSG_NOSIGNAL));
  return (void*)(intptr_t)mine;
}

int main(void) {
  struct rlimit files;
  CHECK_OK(getrlimit(RLIMIT_NOFILE, &files));
  if (files.rlim_cur < kPairs * 2 + 100) {
    files.rlim_cur = kPairs * 2 + 100;
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &files));
  }
  // A seqpacket socket keeps messages apart, so that each of the threads gets a whole one.
  for (int i = 0; i < kPairs; ++i) CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pairs[i]));

  static pthread_t threads[kThreads];
  pthread_attr_t attr;
  CHECK_RC(pthread_attr_init(&attr));
  CHECK_RC(pthread_attr_setstacksize(&attr, kStack));
  for (int i = 0; i < kThreads; ++i) {
    CHECK_RC(pthread_create(&threads[i], &attr, body, &pairs[i % kPairs][1]));
  }
  struct timespec deadline = after_ns(CLOCK_REALTIME, MS(kBoundMs));
  CHECK_RC(pthread_mutex_lock(&mutex));
  while (alive < kThreads) CHECK_RC(pthread_cond_timedwait(&changed, &mutex, &deadline));
  CHECK_RC(pthread_mutex_unlock(&mutex));
  pass("10000 threads alive");

  for (int round = 0; round < kThreads / kPairs; ++round) {
    long sum = 0;
    for (int i = 0; i < kPairs; ++i) {
      int number = round * kPairs + i;
      CHECK_EQ(sizeof number, send(pairs[i][0], &number, sizeof number, 0));
    }
    for (int i = 0; i < kPairs; ++i) {
      int number;
      read_all(pairs[i][0], &number, sizeof number);
      CHECK_EQ(2 * (round * kPairs + i), number);
      sum += number;
    }
    CHECK(sum > 0);
  }
  pass("each answered once");

  long sum = 0;
  for (int i = 0; i < kThreads; ++i) sum += (long)(intptr_t)join_thread(threads[i]);
  CHECK_EQ((long)kThreads * (kThreads + 1) / 2, sum);
  pass("each joined");
  return 0;
}
