// Semaphores, barriers, condition variables and locks in memory that two processes share, both with
// threads, and one without.
#include <sys/mman.h>

#include "check.h"

enum { kRounds = 100 };

struct shared {
  sem_t ping, pong;
  pthread_barrier_t barrier;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  pthread_rwlock_t lock;
  long arrived, serial, value, torn;
};

static struct shared* shared;

static void* answers(void* argument) {
  for (int i = 0; i < kRounds; ++i) {
    sem_take(&shared->ping);
    CHECK_OK(sem_post(&shared->pong));
  }
  return argument;
}

static void asks(void) {
  for (int i = 0; i < kRounds; ++i) {
    CHECK_OK(sem_post(&shared->ping));
    sem_take(&shared->pong);
  }
}

static void* meets(void* argument) {
  for (int i = 0; i < kRounds; ++i) {
    __atomic_add_fetch(&shared->arrived, 1, __ATOMIC_SEQ_CST);
    const int rc = pthread_barrier_wait(&shared->barrier);
    if (rc == PTHREAD_BARRIER_SERIAL_THREAD) {
      __atomic_add_fetch(&shared->serial, 1, __ATOMIC_SEQ_CST);
    } else {
      CHECK_RC(rc);
    }
    CHECK(__atomic_load_n(&shared->arrived, __ATOMIC_SEQ_CST) >= 4 * (i + 1));
  }
  return argument;
}

static void* counts_up(void* argument) {
  const long me = (long)(intptr_t)argument;
  const struct timespec limit = after_ns(CLOCK_REALTIME, MS(kBoundMs));
  CHECK_RC(pthread_mutex_lock(&shared->mutex));
  while (shared->value < 4 * kRounds) {
    if (shared->value % 4 == me) {
      ++shared->value;
      CHECK_RC(pthread_cond_broadcast(&shared->changed));
    } else {
      CHECK_RC(pthread_cond_timedwait(&shared->changed, &shared->mutex, &limit));
    }
  }
  CHECK_RC(pthread_mutex_unlock(&shared->mutex));
  return NULL;
}

static void* reads_and_writes(void* argument) {
  for (int i = 0; i < kRounds; ++i) {
    if (i % 4 == 0) {
      CHECK_RC(pthread_rwlock_wrlock(&shared->lock));
      ++shared->value;
      sched_yield();
      ++shared->arrived;
    } else {
      CHECK_RC(pthread_rwlock_rdlock(&shared->lock));
      if (shared->value != shared->arrived) shared->torn = 1;
    }
    CHECK_RC(pthread_rwlock_unlock(&shared->lock));
  }
  return argument;
}

static void in_two_threads(void* (*body)(void*), long first) {
  pthread_t a = start_thread(body, (void*)(intptr_t)first);
  pthread_t b = start_thread(body, (void*)(intptr_t)(first + 1));
  join_thread(a);
  join_thread(b);
}

static void in_two_processes(void* (*body)(void*)) {
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    in_two_threads(body, 0);
    _exit(0);
  }
  in_two_threads(body, 2);
  CHECK_EXITED(0, child);
}

int main(void) {
  be_threaded();
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(shared != MAP_FAILED);
  CHECK_OK(sem_init(&shared->ping, 1, 0));
  CHECK_OK(sem_init(&shared->pong, 1, 0));
  pthread_barrierattr_t barrier;
  CHECK_RC(pthread_barrierattr_init(&barrier));
  CHECK_RC(pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED));
  CHECK_RC(pthread_barrier_init(&shared->barrier, &barrier, 4));
  pthread_mutexattr_t mutex;
  CHECK_RC(pthread_mutexattr_init(&mutex));
  CHECK_RC(pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED));
  CHECK_RC(pthread_mutex_init(&shared->mutex, &mutex));
  pthread_condattr_t cond;
  CHECK_RC(pthread_condattr_init(&cond));
  CHECK_RC(pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED));
  CHECK_RC(pthread_cond_init(&shared->changed, &cond));
  pthread_rwlockattr_t lock;
  CHECK_RC(pthread_rwlockattr_init(&lock));
  CHECK_RC(pthread_rwlockattr_setpshared(&lock, PTHREAD_PROCESS_SHARED));
  CHECK_RC(pthread_rwlock_init(&shared->lock, &lock));

  for (int threaded = 0; threaded < 2; ++threaded) {
    pid_t child = fork();
    CHECK_OK(child);
    if (child == 0) {
      if (threaded) be_threaded();
      asks();
      _exit(0);
    }
    join_thread(start_thread(answers, NULL));
    CHECK_EXITED(0, child);
    pass(threaded ? "semaphores, both with threads" : "semaphores, one without threads");
  }

  in_two_processes(meets);
  CHECK_EQ(4 * kRounds, shared->arrived);
  CHECK_EQ(kRounds, shared->serial);
  pass("barrier");

  shared->value = 0;
  in_two_processes(counts_up);
  CHECK_EQ(4 * kRounds, shared->value);
  pass("condition variable");

  shared->value = shared->arrived = 0;
  in_two_processes(reads_and_writes);
  CHECK_EQ(0, shared->torn);
  CHECK_EQ(kRounds, shared->value);
  pass("read-write lock");
  return 0;
}
