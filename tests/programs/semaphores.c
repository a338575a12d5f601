// POSIX semaphores: counting, blocking, timeouts on both clocks, named ones.
#include "check.h"

enum { kThreads = 16, kItems = 500 };

static sem_t items, spaces, guard;
static int buffer[8], head, tail;
static long sum;

static void* producer(void* argument) {
  for (int i = 1; i <= kItems; ++i) {
    sem_take(&spaces);
    CHECK_OK(sem_wait(&guard));
    buffer[head++ % 8] = i;
    CHECK_OK(sem_post(&guard));
    CHECK_OK(sem_post(&items));
  }
  return argument;
}

static void* consumer(void* argument) {
  for (int i = 1; i <= kItems; ++i) {
    sem_take(&items);
    CHECK_OK(sem_wait(&guard));
    sum += buffer[tail++ % 8];
    CHECK_OK(sem_post(&guard));
    CHECK_OK(sem_post(&spaces));
  }
  return argument;
}

static void* takes(void* argument) {
  CHECK_OK(sem_wait(argument));
  return NULL;
}

int main(void) {
  be_threaded();
  sem_t sem;
  int value = -1;
  CHECK_OK(sem_init(&sem, 0, 3));
  CHECK_OK(sem_getvalue(&sem, &value));
  CHECK_EQ(3, value);
  for (int i = 0; i < 3; ++i) CHECK_OK(sem_trywait(&sem));
  CHECK_ERRNO(EAGAIN, sem_trywait(&sem));
  pass("counting");

  clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC};
  for (int i = 0; i < 2; ++i) {
    struct timespec deadline = after_ns(clocks[i], MS(40));
    CHECK_ERRNO(ETIMEDOUT, sem_clockwait(&sem, clocks[i], &deadline));
    CHECK_BETWEEN(to_ns(deadline), now_ns(clocks[i]), to_ns(deadline) + MS(5000));
  }
  struct timespec deadline = after_ns(CLOCK_REALTIME, MS(40));
  CHECK_ERRNO(ETIMEDOUT, sem_timedwait(&sem, &deadline));
  CHECK_BETWEEN(to_ns(deadline), now_ns(CLOCK_REALTIME), to_ns(deadline) + MS(5000));
  struct timespec past = {0, 0}, bad = {0, -1};
  CHECK_ERRNO(ETIMEDOUT, sem_timedwait(&sem, &past));
  CHECK_ERRNO(EINVAL, sem_timedwait(&sem, &bad));
  CHECK_OK(sem_post(&sem));
  CHECK_OK(sem_timedwait(&sem, &past));
  pass("timeouts");

  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(takes, &sem);
  settle();
  for (int i = 0; i < kThreads; ++i) CHECK_OK(sem_post(&sem));
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_ERRNO(EAGAIN, sem_trywait(&sem));
  pass("each post lets one through");

  CHECK_OK(sem_init(&items, 0, 0));
  CHECK_OK(sem_init(&spaces, 0, 8));
  CHECK_OK(sem_init(&guard, 0, 1));
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(i % 2 ? producer : consumer, NULL);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_EQ((long)kThreads / 2 * kItems * (kItems + 1) / 2, sum);
  pass("producers and consumers over a bounded buffer");

  char name[64];
  snprintf(name, sizeof name, "/tendril-test-%d", (int)getpid());
  sem_t* named = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
  CHECK(named != SEM_FAILED);
  CHECK_OK(sem_unlink(name));
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    settle();
    CHECK_OK(sem_post(named));
    _exit(0);
  }
  sem_take(named);
  CHECK_EXITED(0, child);
  CHECK_OK(sem_close(named));
  pass("a named semaphore posted by another process");
  return 0;
}
