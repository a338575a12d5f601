// Two processes on one processor hand a token to each other, and wait for it by sched_yield, which
// gives the processor away. Counted, not timed: who is let run by nobody takes thousands of calls.
#include <sys/mman.h>

#include "check.h"

enum { kRounds = 300, kMostYields = 1000 * kRounds };

struct shared {
  int turn;
  long yields;
};

static struct shared* shared;

static void take_turns(int me) {
  const int64_t end = mono_ns() + MS(kBoundMs);
  long yields = 0;
  for (int round = 0; round < kRounds; ++round) {
    while (__atomic_load_n(&shared->turn, __ATOMIC_SEQ_CST) != me) {
      CHECK_OK(sched_yield());
      if (++yields % 1024 == 0) CHECK(mono_ns() < end);
    }
    __atomic_store_n(&shared->turn, !me, __ATOMIC_SEQ_CST);
  }
  __atomic_add_fetch(&shared->yields, yields, __ATOMIC_SEQ_CST);
}

static void* takes_turns(void* argument) {
  take_turns((int)(intptr_t)argument);
  return argument;
}

int main(void) {
  cpu_set_t usable, one;
  CHECK_OK(sched_getaffinity(0, sizeof usable, &usable));
  int first = 0;
  while (!CPU_ISSET(first, &usable)) ++first;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  CHECK_OK(sched_setaffinity(0, sizeof one, &one));
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(shared != MAP_FAILED);
  const pid_t child = fork();
  CHECK_OK(child);
  join_thread(start_thread(takes_turns, (void*)(intptr_t)(child == 0)));
  if (child == 0) _exit(0);
  CHECK_EXITED(0, child);
  if (shared->yields > kMostYields) FAIL("%ld calls for %d turns", shared->yields, kRounds);
  pass("who yields lets another process run");
  return 0;
}
