// Normal, recursive, error-checking and adaptive mutexes: what each allows and what it reports.
#include "check.h"

static pthread_mutex_t make(int kind) {
  pthread_mutexattr_t attr;
  pthread_mutex_t mutex;
  CHECK_RC(pthread_mutexattr_init(&attr));
  CHECK_RC(pthread_mutexattr_settype(&attr, kind));
  CHECK_RC(pthread_mutex_init(&mutex, &attr));
  CHECK_RC(pthread_mutexattr_destroy(&attr));
  return mutex;
}

static void* try_lock(void* argument) { return (void*)(intptr_t)pthread_mutex_trylock(argument); }
static void* unlock(void* argument) { return (void*)(intptr_t)pthread_mutex_unlock(argument); }
static void* lock_and_unlock(void* argument) {
  CHECK_RC(pthread_mutex_lock(argument));
  CHECK_RC(pthread_mutex_unlock(argument));
  return NULL;
}

static long in_other_thread(void* (*body)(void*), pthread_mutex_t* mutex) {
  return (long)(intptr_t)join_thread(start_thread(body, mutex));
}

static long shared;

struct counting {
  pthread_mutex_t* mutex;
  int depth;
};

static void* count(void* argument) {
  struct counting* c = argument;
  for (int i = 0; i < 2000; ++i) {
    for (int d = 0; d < c->depth; ++d) CHECK_RC(pthread_mutex_lock(c->mutex));
    long seen = shared;
    if (i % 50 == 0) sched_yield();
    shared = seen + 1;
    for (int d = 0; d < c->depth; ++d) CHECK_RC(pthread_mutex_unlock(c->mutex));
  }
  return NULL;
}

static void excludes(pthread_mutex_t* mutex, int depth) {
  struct counting c = {mutex, depth};
  pthread_t threads[10];
  shared = 0;
  for (int i = 0; i < 10; ++i) threads[i] = start_thread(count, &c);
  for (int i = 0; i < 10; ++i) join_thread(threads[i]);
  CHECK_EQ(20000, shared);
}

int main(void) {
  pthread_mutex_t normal = make(PTHREAD_MUTEX_NORMAL);
  CHECK_RC(pthread_mutex_lock(&normal));
  CHECK_EQ(EBUSY, pthread_mutex_trylock(&normal));
  CHECK_EQ(EBUSY, in_other_thread(try_lock, &normal));
  pthread_t waiter = start_thread(lock_and_unlock, &normal);
  settle();
  CHECK_RC(pthread_mutex_unlock(&normal));
  join_thread(waiter);
  excludes(&normal, 1);
  pass("normal");

  pthread_mutex_t recursive = make(PTHREAD_MUTEX_RECURSIVE);
  for (int i = 0; i < 100; ++i) CHECK_RC(pthread_mutex_lock(&recursive));
  CHECK_RC(pthread_mutex_trylock(&recursive));
  CHECK_EQ(EBUSY, in_other_thread(try_lock, &recursive));
  CHECK_EQ(EPERM, in_other_thread(unlock, &recursive));
  waiter = start_thread(lock_and_unlock, &recursive);
  for (int i = 0; i < 100; ++i) CHECK_RC(pthread_mutex_unlock(&recursive));
  CHECK_EQ(EBUSY, in_other_thread(try_lock, &recursive));
  CHECK_RC(pthread_mutex_unlock(&recursive));
  join_thread(waiter);
  CHECK_EQ(EPERM, pthread_mutex_unlock(&recursive));
  excludes(&recursive, 3);
  pass("recursive");

  pthread_mutex_t checking = make(PTHREAD_MUTEX_ERRORCHECK);
  CHECK_EQ(EPERM, pthread_mutex_unlock(&checking));
  CHECK_RC(pthread_mutex_lock(&checking));
  CHECK_EQ(EDEADLK, pthread_mutex_lock(&checking));
  CHECK_EQ(EBUSY, pthread_mutex_trylock(&checking));
  CHECK_EQ(EPERM, in_other_thread(unlock, &checking));
  CHECK_EQ(EBUSY, in_other_thread(try_lock, &checking));
  waiter = start_thread(lock_and_unlock, &checking);
  settle();
  CHECK_RC(pthread_mutex_unlock(&checking));
  join_thread(waiter);
  CHECK_EQ(EPERM, pthread_mutex_unlock(&checking));
  excludes(&checking, 1);
  pass("error-checking");

  pthread_mutex_t adaptive = make(PTHREAD_MUTEX_ADAPTIVE_NP);
  CHECK_RC(pthread_mutex_lock(&adaptive));
  CHECK_EQ(EBUSY, in_other_thread(try_lock, &adaptive));
  CHECK_RC(pthread_mutex_unlock(&adaptive));
  excludes(&adaptive, 1);
  pass("adaptive");

  CHECK_RC(pthread_mutex_lock(&normal));
  CHECK_EQ(EBUSY, pthread_mutex_destroy(&normal));
  CHECK_RC(pthread_mutex_unlock(&normal));
  CHECK_RC(pthread_mutex_destroy(&normal));
  pass("destroy of a locked mutex is refused");
  return 0;
}
