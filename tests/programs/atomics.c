// Memory order: what was written before a release is seen after the acquire that reads it, and
// read-modify-write operations lose nothing, whatever the switching.
#include <stdatomic.h>

#include "check.h"

enum { kThreads = 8, kRounds = 20000 };

static atomic_int published, acknowledged;
static int payload[16];
static atomic_long counter;
static atomic_flag locked = ATOMIC_FLAG_INIT;
static long guarded;

static void* publisher(void* argument) {
  for (int i = 1; i <= 2000; ++i) {
    for (int k = 0; k < 16; ++k) payload[k] = i * 16 + k;
    atomic_store_explicit(&published, i, memory_order_release);
    while (atomic_load_explicit(&acknowledged, memory_order_acquire) != i) sched_yield();
  }
  return argument;
}

static void* subscriber(void* argument) {
  for (int i = 1; i <= 2000; ++i) {
    while (atomic_load_explicit(&published, memory_order_acquire) != i) sched_yield();
    for (int k = 0; k < 16; ++k) CHECK_EQ(i * 16 + k, payload[k]);
    atomic_store_explicit(&acknowledged, i, memory_order_release);
  }
  return argument;
}

static void* counts(void* argument) {
  for (int i = 0; i < kRounds; ++i) {
    atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed);
    long seen = atomic_load(&counter);
    while (!atomic_compare_exchange_weak(&counter, &seen, seen + 1)) {
    }
    if (i % 1000 == 0) sched_yield();
  }
  return argument;
}

static void* guards(void* argument) {
  for (int i = 0; i < 1000; ++i) {
    while (atomic_flag_test_and_set_explicit(&locked, memory_order_acquire)) sched_yield();
    long seen = guarded;
    if (i % 100 == 0) sched_yield();
    guarded = seen + 1;
    atomic_flag_clear_explicit(&locked, memory_order_release);
  }
  return argument;
}

static void run(void* (*body)(void*)) {
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(body, NULL);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
}

int main(void) {
  pthread_t a = start_thread(publisher, NULL), b = start_thread(subscriber, NULL);
  join_thread(a);
  join_thread(b);
  pass("release and acquire");
  run(counts);
  CHECK_EQ(2L * kThreads * kRounds, counter);
  pass("read-modify-write");
  run(guards);
  CHECK_EQ(1000L * kThreads, guarded);
  pass("a lock made of a flag");
  return 0;
}
