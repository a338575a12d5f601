// A barrier lets nobody through before all have come, and names one serial thread in each round.
#include "check.h"

enum { kThreads = 25, kRounds = 200 };

static pthread_barrier_t barrier;
static int arrived[kRounds], serial[kRounds];

static void* body(void* argument) {
  for (int round = 0; round < kRounds; ++round) {
    __atomic_add_fetch(&arrived[round], 1, __ATOMIC_SEQ_CST);
    if ((round + (intptr_t)argument) % 7 == 0) sched_yield();
    int rc = pthread_barrier_wait(&barrier);
    CHECK_EQ(kThreads, __atomic_load_n(&arrived[round], __ATOMIC_SEQ_CST));
    if (rc == PTHREAD_BARRIER_SERIAL_THREAD) {
      __atomic_add_fetch(&serial[round], 1, __ATOMIC_SEQ_CST);
    } else {
      CHECK_EQ(0, rc);
    }
  }
  return argument;
}

int main(void) {
  pthread_t threads[kThreads];
  CHECK_EQ(EINVAL, pthread_barrier_init(&barrier, NULL, 0));
  CHECK_RC(pthread_barrier_init(&barrier, NULL, kThreads));
  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = start_thread(body, (void*)i);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  for (int round = 0; round < kRounds; ++round) CHECK_EQ(1, serial[round]);
  CHECK_RC(pthread_barrier_destroy(&barrier));
  pass("200 rounds of 25 threads");

  CHECK_RC(pthread_barrier_init(&barrier, NULL, 1));
  CHECK_EQ(PTHREAD_BARRIER_SERIAL_THREAD, pthread_barrier_wait(&barrier));
  pass("a barrier for one");
  return 0;
}
