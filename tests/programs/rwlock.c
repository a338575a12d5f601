// Read-write locks: readers together, writers alone, and the errors of the try and timed forms.
#include "check.h"

enum { kReaders = 10, kWriters = 5, kRounds = 300 };

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t together;
static long a, b;

static void* reads_together(void* argument) {
  CHECK_RC(pthread_rwlock_rdlock(&lock));
  pthread_barrier_wait(&together);  // passes only if all readers hold the lock at once
  CHECK_RC(pthread_rwlock_unlock(&lock));
  return argument;
}

static void* reader(void* argument) {
  for (int i = 0; i < kRounds; ++i) {
    CHECK_RC(pthread_rwlock_rdlock(&lock));
    long seen = a;
    if (i % 10 == 0) sched_yield();
    CHECK_EQ(seen, b);
    CHECK_RC(pthread_rwlock_unlock(&lock));
  }
  return argument;
}

static void* writer(void* argument) {
  for (int i = 0; i < kRounds; ++i) {
    CHECK_RC(pthread_rwlock_wrlock(&lock));
    ++a;
    if (i % 10 == 0) sched_yield();
    ++b;
    CHECK_RC(pthread_rwlock_unlock(&lock));
  }
  return argument;
}

static void* tries_while_write_locked(void* argument) {
  CHECK_EQ(EBUSY, pthread_rwlock_tryrdlock(&lock));
  CHECK_EQ(EBUSY, pthread_rwlock_trywrlock(&lock));
  struct timespec deadline = after_ns(CLOCK_REALTIME, MS(20));
  CHECK_EQ(ETIMEDOUT, pthread_rwlock_timedrdlock(&lock, &deadline));
  CHECK(now_ns(CLOCK_REALTIME) >= to_ns(deadline));
  deadline = after_ns(CLOCK_MONOTONIC, MS(20));
  CHECK_EQ(ETIMEDOUT, pthread_rwlock_clockwrlock(&lock, CLOCK_MONOTONIC, &deadline));
  CHECK(mono_ns() >= to_ns(deadline));
  return argument;
}

static void* tries_while_read_locked(void* argument) {
  CHECK_EQ(EBUSY, pthread_rwlock_trywrlock(&lock));
  struct timespec deadline = after_ns(CLOCK_MONOTONIC, MS(20));
  CHECK_EQ(ETIMEDOUT, pthread_rwlock_clockwrlock(&lock, CLOCK_MONOTONIC, &deadline));
  CHECK_RC(pthread_rwlock_tryrdlock(&lock));
  CHECK_RC(pthread_rwlock_unlock(&lock));
  return argument;
}

int main(void) {
  pthread_t threads[kReaders + kWriters];
  CHECK_RC(pthread_barrier_init(&together, NULL, kReaders));
  for (int i = 0; i < kReaders; ++i) threads[i] = start_thread(reads_together, NULL);
  for (int i = 0; i < kReaders; ++i) join_thread(threads[i]);
  pass("readers hold it together");

  for (int i = 0; i < kReaders + kWriters; ++i) {
    threads[i] = start_thread(i < kReaders ? reader : writer, NULL);
  }
  for (int i = 0; i < kReaders + kWriters; ++i) join_thread(threads[i]);
  CHECK_EQ(kWriters * kRounds, a);
  CHECK_EQ(a, b);
  pass("writers hold it alone");

  CHECK_RC(pthread_rwlock_wrlock(&lock));
  CHECK_EQ(EDEADLK, pthread_rwlock_wrlock(&lock));
  CHECK_EQ(EDEADLK, pthread_rwlock_rdlock(&lock));
  join_thread(start_thread(tries_while_write_locked, NULL));
  pthread_t blocked = start_thread(reader, NULL);
  settle();
  CHECK_RC(pthread_rwlock_unlock(&lock));
  join_thread(blocked);
  CHECK_RC(pthread_rwlock_rdlock(&lock));
  join_thread(start_thread(tries_while_read_locked, NULL));
  blocked = start_thread(writer, NULL);
  settle();
  CHECK_RC(pthread_rwlock_unlock(&lock));
  join_thread(blocked);
  pass("try and timed forms");
  return 0;
}
