// Threads that hand a token to each other through condition variables: no wake-up is lost in
// thousands of rounds, with two threads or in a ring.
#include "check.h"

enum { kRing = 30 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t conds[kRing];
static long token;
static int members;
static long last;

static void* member(void* argument) {
  int me = (int)(intptr_t)argument;
  struct timespec deadline = after_ns(CLOCK_REALTIME, MS(kBoundMs));
  CHECK_RC(pthread_mutex_lock(&mutex));
  for (;;) {
    while (token % members != me && token < last) {
      CHECK_RC(pthread_cond_timedwait(&conds[me], &mutex, &deadline));
    }
    if (token >= last) break;
    ++token;
    CHECK_RC(pthread_cond_signal(&conds[token % members]));
  }
  for (int i = 0; i < members; ++i) CHECK_RC(pthread_cond_signal(&conds[i]));
  CHECK_RC(pthread_mutex_unlock(&mutex));
  return argument;
}

static void run(int n, long rounds) {
  pthread_t threads[kRing];
  members = n;
  token = 0;
  last = rounds * n;
  for (intptr_t i = 0; i < n; ++i) threads[i] = start_thread(member, (void*)i);
  for (int i = 0; i < n; ++i) join_thread(threads[i]);
  CHECK_EQ(rounds * n, token);
}

int main(void) {
  for (int i = 0; i < kRing; ++i) CHECK_RC(pthread_cond_init(&conds[i], NULL));
  run(2, 10000);
  pass("two threads, 10000 rounds");
  run(kRing, 200);
  pass("a ring of 30 threads, 200 rounds");
  return 0;
}
