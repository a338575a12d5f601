// A thread that is woken together with one that then works for a while, beside one that computes
// all the time, on two processors: it does not wait until the work is done, for the one that
// computes gives way to it. Counted, not timed: it sleeps for a third of the time that a piece of
// work takes. Of several rounds the best one counts, for other processes may take the processors.
#include <stdatomic.h>

#include "check.h"

enum { kPieces = 60, kWorkMs = 3, kLeast = kPieces * 3 / 2, kRounds = 5 };

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

static int count_naps(void) {
  const struct timespec nap = {0, 1000000};
  atomic_store(&over, 0);
  const pthread_t computer = start_thread(computes, NULL);
  const pthread_t worker = start_thread(works, NULL);
  int naps = 0;
  for (; !atomic_load(&over); ++naps) CHECK_OK(nanosleep(&nap, NULL));
  join_thread(worker);
  join_thread(computer);
  return naps;
}

int main(void) {
  const int most = best_of(kRounds, kLeast, count_naps);
  if (most < kLeast) FAIL("%d naps beside %d pieces of work", most, kPieces);
  pass("who is woken does not stand behind another");
  return 0;
}
