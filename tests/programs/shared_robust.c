// A robust mutex that processes share: whoever's thread owns it when the process ends, in whatever
// way, the next one is told.
#include <sys/mman.h>
#include <sys/resource.h>

#include "check.h"

struct shared {
  pthread_mutex_t mutex[2];
  pthread_mutex_t inheriting;
  sem_t locked, timed_out;
};

static struct shared* shared;
static volatile int* volatile nowhere = (volatile int*)8;

enum end { EXIT, LAST_THREAD, TERM, ABORT, FAULT, KILL, ENDS };
static const char* const names[] = {
    "exit", "exit of the last thread", "SIGTERM", "abort()", "a fault", "SIGKILL"};

static void* owns(void* argument) {
  const enum end end = (enum end)(intptr_t)argument;
  CHECK_RC(pthread_mutex_lock(&shared->mutex[0]));
  CHECK_RC(pthread_mutex_lock(&shared->mutex[1]));
  CHECK_OK(sem_post(&shared->locked));
  if (end == LAST_THREAD) return NULL;
  for (;;) pause();
}

static void end_by(enum end end) {
  const struct rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  if (end == KILL) {
    // Without threads: what becomes of a process that is killed is the kernel's alone.
    CHECK_RC(pthread_mutex_lock(&shared->mutex[0]));
    CHECK_RC(pthread_mutex_lock(&shared->mutex[1]));
    CHECK_OK(sem_post(&shared->locked));
    settle();
    kill(getpid(), SIGKILL);
  }
  start_thread(owns, (void*)(intptr_t)end);
  settle();
  switch (end) {
    case EXIT:
      exit(0);
    case LAST_THREAD:
      pthread_exit(NULL);
    case TERM:
      kill(getpid(), SIGTERM);
      break;
    case ABORT:
      abort();
    case FAULT:
      *nowhere = 1;
      break;
    default:
      break;
  }
  for (;;) pause();
}

static void* is_told(void* argument) {
  pthread_mutex_t* mutex = argument;
  const struct timespec limit = after_ns(CLOCK_REALTIME, MS(kBoundMs));
  const int rc = pthread_mutex_timedlock(mutex, &limit);
  if (rc == EOWNERDEAD) {
    CHECK_RC(pthread_mutex_consistent(mutex));
    CHECK_RC(pthread_mutex_unlock(mutex));
  }
  return (void*)(intptr_t)rc;
}

static void* locks_inheriting(void* argument) {
  for (int i = 0; i < 20; ++i) {
    CHECK_RC(pthread_mutex_lock(&shared->inheriting));
    CHECK_RC(pthread_mutex_unlock(&shared->inheriting));
  }
  return argument;
}

int main(void) {
  be_threaded();
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(shared != MAP_FAILED);
  CHECK_OK(sem_init(&shared->locked, 1, 0));
  CHECK_OK(sem_init(&shared->timed_out, 1, 0));
  pthread_mutexattr_t attr;
  CHECK_RC(pthread_mutexattr_init(&attr));
  CHECK_RC(pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED));
  CHECK_RC(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST));
  for (int i = 0; i < 2; ++i) CHECK_RC(pthread_mutex_init(&shared->mutex[i], &attr));

  for (int end = 0; end < ENDS; ++end) {
    pid_t child = fork();
    CHECK_OK(child);
    if (child == 0) end_by((enum end)end);
    sem_take(&shared->locked);
    // One waits already, one comes when all is over.
    pthread_t waits = start_thread(is_told, &shared->mutex[0]);
    wait_status(child);
    CHECK_EQ(EOWNERDEAD, (intptr_t)join_thread(waits));
    CHECK_EQ(EOWNERDEAD, (intptr_t)is_told(&shared->mutex[1]));
    pass(names[end]);
  }

  CHECK_RC(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT));
  CHECK_RC(pthread_mutex_init(&shared->inheriting, &attr));
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    CHECK_RC(pthread_mutex_lock(&shared->inheriting));
    CHECK_OK(sem_post(&shared->locked));
    settle();
    CHECK_RC(pthread_mutex_unlock(&shared->inheriting));
    _exit(0);
  }
  sem_take(&shared->locked);
  pthread_t threads[3];
  for (int i = 0; i < 3; ++i) threads[i] = start_thread(locks_inheriting, NULL);
  CHECK_EXITED(0, child);
  for (int i = 0; i < 3; ++i) join_thread(threads[i]);
  child = fork();
  CHECK_OK(child);
  if (child == 0) {
    CHECK_RC(pthread_mutex_lock(&shared->inheriting));
    CHECK_OK(sem_post(&shared->locked));
    sem_take(&shared->timed_out);
    _exit(0);
  }
  sem_take(&shared->locked);
  const struct timespec soon = after_ns(CLOCK_REALTIME, MS(20));
  CHECK_EQ(ETIMEDOUT, pthread_mutex_timedlock(&shared->inheriting, &soon));
  CHECK_OK(sem_post(&shared->timed_out));
  CHECK_EXITED(0, child);
  CHECK_EQ(EOWNERDEAD, (intptr_t)is_told(&shared->inheriting));
  pass("a mutex that inherits priority, whose owner is another process");
  return 0;
}
