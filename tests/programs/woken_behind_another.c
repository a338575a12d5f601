// A thread that is woken together with one that then works for a while, beside one that computes
// all the time, on two processors: it does not wait until the work is done, for the one that
// computes gives way to it. Counted, not timed: it sleeps for a third of the time that a piece of
// work takes.
#include <stdatomic.h>

#include "check.h"

enum { kPieces = 60, kWorkMs = 3, kLeast = kPieces * 3 / 2 };

static atomic_int over;

static void* computes(void* unused) {
  while (!atomic_load(&over)) {
    for (volatile int i = 0; i < 20000; ++i) {
    }
  }
  return unused;
}

static void* works(void* unused) {
  const struct timespec pause = {0, 1000000};
  for (int piece = 0; piece < kPieces; ++piece) {
    const int64_t end = now_ns(CLOCK_MONOTONIC) + MS(kWorkMs);
    while (now_ns(CLOCK_MONOTONIC) < end) {
    }
    CHECK_OK(nanosleep(&pause, NULL));
  }
  atomic_store(&over, 1);
  return unused;
}

int main(void) {
  const struct timespec nap = {0, 1000000};
  const pthread_t computer = start_thread(computes, NULL);
  const pthread_t worker = start_thread(works, NULL);
  int naps = 0;
  for (; !atomic_load(&over); ++naps) CHECK_OK(nanosleep(&nap, NULL));
  join_thread(worker);
  join_thread(computer);
  if (naps < kLeast) FAIL("%d naps beside %d pieces of work", naps, kPieces);
  pass("who is woken does not stand behind another");
  return 0;
}
