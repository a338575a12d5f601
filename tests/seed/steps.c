// Prints the order in which threads take their steps: locks, a condition, a semaphore, a read-write
// lock, and system calls, all of which may switch.
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { kThreads = 5, kSteps = 8 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t shared = PTHREAD_RWLOCK_INITIALIZER;
static sem_t slots;
static char order[kThreads * kSteps * 4 + 1];
static int steps;

static void* run(void* argument) {
  const char name = (char)('a' + (int)(long)argument);
  for (int i = 0; i < kSteps; ++i) {
    sem_wait(&slots);
    pthread_rwlock_rdlock(&shared);
    getppid();
    pthread_rwlock_unlock(&shared);
    sem_post(&slots);
    free(malloc(100000 * (size_t)(i + 1)));
    pthread_mutex_lock(&lock);
    order[steps++] = name;
    pthread_cond_broadcast(&turn);
    if (i % 3 == 2 && steps < kThreads * kSteps - 2 * kThreads) {
      const int seen = steps;
      while (steps == seen) pthread_cond_wait(&turn, &lock);
    }
    pthread_mutex_unlock(&lock);
  }
  pthread_mutex_lock(&lock);
  pthread_cond_broadcast(&turn);
  pthread_mutex_unlock(&lock);
  return NULL;
}

int main(void) {
  sem_init(&slots, 0, 2);
  pthread_t threads[kThreads];
  for (long i = 0; i < kThreads; ++i) pthread_create(&threads[i], NULL, run, (void*)i);
  for (int i = 0; i < kThreads; ++i) pthread_join(threads[i], NULL);
  puts(order);
  return 0;
}
