// Threads that compute all the time and now and then wake others, who wait again at once: whom a
// computing thread has woken goes before it, as natively, and not when it has computed enough. It
// is measured in CPU time, which is the same on a busy machine: the less those who compute let
// others go on, the more of it passes before these have had all their turns.
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum { kWaiters = 4, kHogs = 3, kTurns = 10000 };

static struct {
  atomic_int waits;
  sem_t turn;
} waiters[kWaiters];
static atomic_int left = kWaiters;

static void* wait_for_turns(void* of) {
  long own = (long)of;
  for (int i = 0; i < kTurns; ++i) {
    atomic_store(&waiters[own].waits, 1);
    sem_wait(&waiters[own].turn);
  }
  atomic_fetch_sub(&left, 1);
  return NULL;
}

static void* compute_and_wake(void* unused) {
  for (unsigned i = 0; atomic_load(&left) > 0; ++i) {
    int waits = 1;
    if (atomic_compare_exchange_strong(&waiters[i % kWaiters].waits, &waits, 0)) {
      sem_post(&waiters[i % kWaiters].turn);
    }
  }
  return unused;
}

static double cpu_seconds(void) {
  struct timespec used;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

int main(void) {
  pthread_t threads[kWaiters + kHogs];
  for (long i = 0; i < kWaiters; ++i) {
    sem_init(&waiters[i].turn, 0, 0);
    pthread_create(&threads[i], NULL, wait_for_turns, (void*)i);
  }
  for (int i = kWaiters; i < kWaiters + kHogs; ++i) {
    pthread_create(&threads[i], NULL, compute_and_wake, NULL);
  }
  for (int i = 0; i < kWaiters + kHogs; ++i) pthread_join(threads[i], NULL);
  double used = cpu_seconds();
  if (used < 3) {
    puts("those who compute let others go on");
  } else {
    printf("%d turns took %.1f s of CPU time\n", kWaiters * kTurns, used);
  }
}
