// Threads that compute all the time and now and then wake others, who wait again at once: whom a
// computing thread has woken goes before it, as natively, and not when it has computed enough. So
// these have their turns before the others have gone round many times.
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>

enum { kWaiters = 4, kHogs = 3, kTurns = 10000, kMostRounds = 8000, kAttempts = 5 };

static struct {
  atomic_int waits;
  sem_t turn;
} waiters[kWaiters];
static atomic_int left = kWaiters;
static atomic_long rounds;

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
  unsigned i = 0;
  for (; atomic_load(&left) > 0; ++i) {
    int waits = 1;
    if (atomic_compare_exchange_strong(&waiters[i % kWaiters].waits, &waits, 0)) {
      sem_post(&waiters[i % kWaiters].turn);
    }
  }
  atomic_fetch_add(&rounds, i);
  return unused;
}

static long rounds_for_a_turn(void) {
  pthread_t threads[kWaiters + kHogs];
  atomic_store(&left, kWaiters);
  atomic_store(&rounds, 0);
  for (long i = 0; i < kWaiters; ++i) {
    atomic_store(&waiters[i].waits, 0);
    sem_init(&waiters[i].turn, 0, 0);
    pthread_create(&threads[i], NULL, wait_for_turns, (void*)i);
  }
  for (int i = kWaiters; i < kWaiters + kHogs; ++i) {
    pthread_create(&threads[i], NULL, compute_and_wake, NULL);
  }
  for (int i = 0; i < kWaiters + kHogs; ++i) pthread_join(threads[i], NULL);
  return atomic_load(&rounds) / (kWaiters * kTurns);
}

// Of several attempts the best one counts: other processes may take the processors.
int main(void) {
  long least = rounds_for_a_turn();
  for (int i = 1; i < kAttempts && least >= kMostRounds; ++i) {
    const long again = rounds_for_a_turn();
    least = again < least ? again : least;
  }
  if (least < kMostRounds) {
    puts("those who compute let others go on");
  } else {
    printf("%ld rounds for each turn\n", least);
  }
}
