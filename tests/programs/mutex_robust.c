// Robust mutexes: when the owner ends without unlocking, the next one gets the lock and
// EOWNERDEAD, and decides whether the mutex can be used on.
#include "check.h"

static pthread_mutex_t mutex;
static sem_t locked, die;

static void make(int kind) {
  pthread_mutexattr_t attr;
  CHECK_RC(pthread_mutexattr_init(&attr));
  CHECK_RC(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST));
  CHECK_RC(pthread_mutexattr_settype(&attr, kind));
  CHECK_RC(pthread_mutex_init(&mutex, &attr));
}

static void* dies_as_owner(void* argument) {
  CHECK_RC(pthread_mutex_lock(&mutex));
  CHECK_OK(sem_post(&locked));
  sem_take(&die);
  return argument;
}

static void* exits_as_owner(void* argument) {
  CHECK_RC(pthread_mutex_lock(&mutex));
  pthread_exit(argument);
}

static void* lock_result(void* argument) {
  (void)argument;
  int rc = pthread_mutex_lock(&mutex);
  if (rc == EOWNERDEAD) {
    CHECK_RC(pthread_mutex_consistent(&mutex));
    CHECK_RC(pthread_mutex_unlock(&mutex));
  } else if (rc == 0) {
    CHECK_RC(pthread_mutex_unlock(&mutex));
  }
  return (void*)(intptr_t)rc;
}

static void* dies_owning_many(void* argument) {
  pthread_mutex_t* many = argument;
  for (int i = 0; i < 5; ++i) CHECK_RC(pthread_mutex_lock(&many[i]));
  CHECK_RC(pthread_mutex_unlock(&many[2]));
  return NULL;
}

int main(void) {
  CHECK_OK(sem_init(&locked, 0, 0));
  CHECK_OK(sem_init(&die, 0, 0));

  make(PTHREAD_MUTEX_NORMAL);
  join_thread(start_thread(exits_as_owner, NULL));
  CHECK_EQ(EOWNERDEAD, pthread_mutex_lock(&mutex));
  CHECK_RC(pthread_mutex_consistent(&mutex));
  CHECK_RC(pthread_mutex_unlock(&mutex));
  CHECK_RC(pthread_mutex_lock(&mutex));
  CHECK_RC(pthread_mutex_unlock(&mutex));
  CHECK_EQ(EINVAL, pthread_mutex_consistent(&mutex));
  pass("recovered after the owner's death");

  pthread_t owner = start_thread(dies_as_owner, NULL);
  sem_take(&locked);
  CHECK_EQ(EBUSY, pthread_mutex_trylock(&mutex));
  pthread_t waiters[5];
  for (int i = 0; i < 5; ++i) waiters[i] = start_thread(lock_result, NULL);
  settle();
  CHECK_OK(sem_post(&die));
  join_thread(owner);
  int dead = 0;
  for (int i = 0; i < 5; ++i) {
    int rc = (int)(intptr_t)join_thread(waiters[i]);
    CHECK(rc == 0 || rc == EOWNERDEAD);
    dead += rc == EOWNERDEAD;
  }
  CHECK_EQ(1, dead);
  pass("one of those who wait is told");

  join_thread(start_thread(exits_as_owner, NULL));
  CHECK_EQ(EOWNERDEAD, pthread_mutex_trylock(&mutex));
  CHECK_RC(pthread_mutex_unlock(&mutex));
  CHECK_EQ(ENOTRECOVERABLE, pthread_mutex_lock(&mutex));
  CHECK_EQ(ENOTRECOVERABLE, (intptr_t)join_thread(start_thread(lock_result, NULL)));
  CHECK_RC(pthread_mutex_destroy(&mutex));
  pass("not recoverable when unlocked without being made consistent");

  pthread_mutex_t many[5];
  for (int i = 0; i < 5; ++i) {
    make(PTHREAD_MUTEX_ERRORCHECK);
    many[i] = mutex;
  }
  join_thread(start_thread(dies_owning_many, many));
  for (int i = 0; i < 5; ++i) {
    struct timespec deadline = after_ns(CLOCK_REALTIME, MS(kBoundMs));
    CHECK_EQ(i == 2 ? 0 : EOWNERDEAD, pthread_mutex_timedlock(&many[i], &deadline));
    if (i != 2) CHECK_RC(pthread_mutex_consistent(&many[i]));
    CHECK_RC(pthread_mutex_unlock(&many[i]));
  }
  pass("several mutexes of one owner");
  return 0;
}
