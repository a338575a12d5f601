// A thread that computes has its turn although others, who hand tokens on, never all wait: whoever
// holds a token works for a moment while the next thread of another token is ready. They go on
// until the one that computes has come to its end.
#include <stdatomic.h>

#include "check.h"

enum { kRelays = 3, kRunners = 2, kHogMs = 100 };

static sem_t tokens[kRelays][kRunners];
static atomic_int over;

static void work(int rounds) {
  for (volatile int i = 0; i < rounds; ++i) {
  }
}

static void* hog(void* argument) {
  (void)argument;
  const int64_t end = now_ns(CLOCK_THREAD_CPUTIME_ID) + MS(kHogMs);
  while (now_ns(CLOCK_THREAD_CPUTIME_ID) < end) work(100000);
  atomic_store(&over, 1);
  return NULL;
}

static void* runner(void* argument) {
  const int me = (int)(intptr_t)argument;
  sem_t* relay = tokens[me / kRunners];
  const int place = me % kRunners;
  while (!atomic_load(&over)) {
    CHECK_OK(sem_wait(&relay[place]));
    work(200000);
    CHECK_OK(sem_post(&relay[(place + 1) % kRunners]));
  }
  // Its token may lie here untaken, and the next waits for it.
  CHECK_OK(sem_post(&relay[(place + 1) % kRunners]));
  return NULL;
}

int main(void) {
  pthread_t runners[kRelays * kRunners];
  for (int i = 0; i < kRelays * kRunners; ++i) {
    CHECK_OK(sem_init(&tokens[i / kRunners][i % kRunners], 0, i % kRunners == 0));
  }
  const pthread_t computes = start_thread(hog, NULL);
  for (intptr_t i = 0; i < kRelays * kRunners; ++i) {
    runners[i] = start_thread(runner, (void*)i);
  }
  join_thread(computes);
  for (int i = 0; i < kRelays * kRunners; ++i) join_thread(runners[i]);
  pass("who computes comes to its end");
  return 0;
}
