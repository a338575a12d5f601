// Threads of a real-time class and of several priorities, more than processors, meet at the same
// lock and barrier again and again: one of high priority must never keep from running whom it waits
// for. (Who may not use that class runs it with ordinary threads.)
#include <sys/sysinfo.h>

#include "check.h"

enum { kRounds = 300, kMost = 34 };

static pthread_barrier_t barrier;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int turns[kMost];
static int total;

static void compute(void) {
  for (volatile int i = 0; i < 20000; ++i) continue;
}

static void* body(void* argument) {
  const long index = (long)argument;
  const struct sched_param priority = {.sched_priority = 2 + (int)index};
  const int error = pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority);
  CHECK(error == 0 || error == EPERM);
  for (int round = 0; round < kRounds; ++round) {
    const int rc = pthread_barrier_wait(&barrier);
    CHECK(rc == 0 || rc == PTHREAD_BARRIER_SERIAL_THREAD);
    compute();
    CHECK_RC(pthread_mutex_lock(&mutex));
    ++total;
    CHECK_RC(pthread_mutex_unlock(&mutex));
    CHECK_RC(pthread_kill(pthread_self(), 0));
    ++turns[index];
  }
  return argument;
}

int main(void) {
  long count = get_nprocs() + 3;
  if (count > kMost) count = kMost;
  CHECK_RC(pthread_barrier_init(&barrier, NULL, (unsigned)count));
  pthread_t threads[kMost];
  for (long i = 0; i < count; ++i) CHECK_RC(pthread_create(&threads[i], NULL, body, (void*)i));
  for (long i = 0; i < count; ++i) join_thread(threads[i]);
  for (long i = 0; i < count; ++i) CHECK_EQ(kRounds, turns[i]);
  CHECK_EQ(count * kRounds, total);
  pass("met");
  return 0;
}
