// A mutex, a condition variable and a robust mutex in memory that processes share.
#include <sys/mman.h>

#include "check.h"

struct shared {
  pthread_mutex_t mutex, robust;
  pthread_cond_t changed;
  int turn;
  long counter;
};

static struct shared* shared;

static void* plays(void* argument) {
  int me = (int)(intptr_t)argument;
  struct timespec deadline = after_ns(CLOCK_REALTIME, MS(kBoundMs));
  for (int i = 0; i < 200; ++i) {
    CHECK_RC(pthread_mutex_lock(&shared->mutex));
    while (shared->turn != me) {
      CHECK_RC(pthread_cond_timedwait(&shared->changed, &shared->mutex, &deadline));
    }
    ++shared->counter;
    shared->turn = !me;
    CHECK_RC(pthread_cond_broadcast(&shared->changed));
    CHECK_RC(pthread_mutex_unlock(&shared->mutex));
  }
  return argument;
}

static void* counts(void* argument) {
  for (int i = 0; i < 2000; ++i) {
    CHECK_RC(pthread_mutex_lock(&shared->mutex));
    long seen = shared->counter;
    if (i % 100 == 0) sched_yield();
    shared->counter = seen + 1;
    CHECK_RC(pthread_mutex_unlock(&shared->mutex));
  }
  return argument;
}

static void count_in_threads(void) {
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i) threads[i] = start_thread(counts, NULL);
  for (int i = 0; i < 4; ++i) join_thread(threads[i]);
}

int main(void) {
  be_threaded();
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(shared != MAP_FAILED);
  pthread_mutexattr_t mutex;
  CHECK_RC(pthread_mutexattr_init(&mutex));
  CHECK_RC(pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED));
  CHECK_RC(pthread_mutex_init(&shared->mutex, &mutex));
  CHECK_RC(pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST));
  CHECK_RC(pthread_mutex_init(&shared->robust, &mutex));
  pthread_condattr_t cond;
  CHECK_RC(pthread_condattr_init(&cond));
  CHECK_RC(pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED));
  CHECK_RC(pthread_cond_init(&shared->changed, &cond));

  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    plays((void*)1);
    _exit(0);
  }
  join_thread(start_thread(plays, (void*)0));
  CHECK_EXITED(0, child);
  CHECK_EQ(400, shared->counter);
  pass("turns taken by two processes");

  shared->counter = 0;
  child = fork();
  CHECK_OK(child);
  if (child == 0) {
    count_in_threads();
    _exit(0);
  }
  count_in_threads();
  CHECK_EXITED(0, child);
  CHECK_EQ(16000, shared->counter);
  pass("a lock for the threads of two processes");

  child = fork();
  CHECK_OK(child);
  if (child == 0) {
    CHECK_RC(pthread_mutex_lock(&shared->robust));
    _exit(0);
  }
  CHECK_EXITED(0, child);
  CHECK_EQ(EOWNERDEAD, pthread_mutex_lock(&shared->robust));
  CHECK_RC(pthread_mutex_consistent(&shared->robust));
  CHECK_RC(pthread_mutex_unlock(&shared->robust));
  pass("a robust mutex whose owner's process ended");
  return 0;
}
