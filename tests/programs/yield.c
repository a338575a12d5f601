// sched_yield lets the others run: every thread makes progress, and one that only yields does not
// keep sleepers or readers from waking up.
#include "check.h"

enum { kThreads = 10, kRounds = 1000 };

static int progress[kThreads];
static int stop, turn;
static int ends[2];

static void* yields(void* argument) {
  int* mine = argument;
  while (*mine < kRounds) {
    __atomic_add_fetch(mine, 1, __ATOMIC_SEQ_CST);
    CHECK_OK(sched_yield());
  }
  return argument;
}

static void* takes_turns(void* argument) {
  int id = (int)(intptr_t)argument;
  int64_t begin = mono_ns();
  for (int round = 0; round < 100; ++round) {
    while (__atomic_load_n(&turn, __ATOMIC_SEQ_CST) % kThreads != id) {
      CHECK(mono_ns() - begin < MS(kBoundMs));
      sched_yield();
    }
    __atomic_add_fetch(&turn, 1, __ATOMIC_SEQ_CST);
  }
  return argument;
}

static void* yields_until_stopped(void* argument) {
  while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) sched_yield();
  return argument;
}

static void* reads(void* argument) {
  char c;
  CHECK_EQ(1, read(ends[0], &c, 1));
  return argument;
}

int main(void) {
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(yields, &progress[i]);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  for (int i = 0; i < kThreads; ++i) CHECK_EQ(kRounds, progress[i]);
  pass("all make progress");

  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = start_thread(takes_turns, (void*)i);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  pass("turns taken by yielding");

  CHECK_OK(pipe(ends));
  pthread_t reader = start_thread(reads, NULL);
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(yields_until_stopped, NULL);
  usleep(1000);
  CHECK_EQ(1, write(ends[1], "x", 1));
  join_thread(reader);
  __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  pass("sleepers and readers wake beside threads that only yield");
  return 0;
}
