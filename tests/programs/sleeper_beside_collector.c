// Threads that compute and now and then stop all others, as those of a collector of garbage do: by
// a signal, whose handler waits until it may go on. A thread that sleeps for a millisecond at a
// time beside them is not put off from one stop to the next, though it goes on as the last of them.
// Counted, not timed: of several rounds the best one counts, for other processes may take the
// processors.
#include <stdatomic.h>

#include "check.h"

enum { kThreads = 12, kStops = 20, kLeast = kStops, kRounds = 5 };

static sem_t stopped, goes_on[kThreads + 1];
static pthread_t threads[kThreads + 1];  // the one that sleeps is the first
static pthread_barrier_t all_here;
static const int64_t kBetweenStops = MS(30);
static atomic_llong last_stop;
static atomic_int stops;
static atomic_flag stopping = ATOMIC_FLAG_INIT;
static __thread int self;

static void wait_for(sem_t* semaphore) {
  while (sem_wait(semaphore) != 0) CHECK_EQ(EINTR, errno);
}

static void on_stop(int signal) {
  (void)signal;
  const int kept = errno;
  sem_post(&stopped);
  wait_for(&goes_on[self]);
  errno = kept;
}

static void stop_others(void) {
  sigset_t all, mask;
  sigfillset(&all);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &all, &mask));
  for (int i = kThreads; i >= 0; --i) {
    if (i != self) CHECK_RC(pthread_kill(threads[i], SIGUSR2));
  }
  for (int i = 0; i < kThreads; ++i) wait_for(&stopped);
  atomic_store(&last_stop, mono_ns());
  atomic_fetch_add(&stops, 1);
  for (int i = kThreads; i >= 0; --i) {
    if (i != self) CHECK_OK(sem_post(&goes_on[i]));
  }
  atomic_flag_clear(&stopping);
  CHECK_RC(pthread_sigmask(SIG_SETMASK, &mask, NULL));
}

static void* computes(void* number) {
  self = (int)(intptr_t)number;
  pthread_barrier_wait(&all_here);
  while (atomic_load(&stops) < kStops) {
    for (volatile int i = 0; i < 50000; ++i) {
    }
    if (mono_ns() - atomic_load(&last_stop) < kBetweenStops) continue;
    if (atomic_flag_test_and_set(&stopping)) continue;
    if (mono_ns() - atomic_load(&last_stop) >= kBetweenStops && atomic_load(&stops) < kStops) {
      stop_others();
    } else {
      atomic_flag_clear(&stopping);
    }
  }
  pthread_barrier_wait(&all_here);  // nobody is gone before the last has been stopped
  return NULL;
}

static int count_naps(void) {
  const struct timespec nap = {0, 1000000};
  atomic_store(&last_stop, mono_ns());
  atomic_store(&stops, 0);
  threads[0] = pthread_self();
  for (intptr_t i = 1; i <= kThreads; ++i) threads[i] = start_thread(computes, (void*)i);
  pthread_barrier_wait(&all_here);
  int naps = 0;
  while (atomic_load(&stops) < kStops) {
    if (nanosleep(&nap, NULL) == 0) {
      ++naps;
    } else {
      CHECK_EQ(EINTR, errno);
    }
  }
  pthread_barrier_wait(&all_here);
  for (int i = 1; i <= kThreads; ++i) join_thread(threads[i]);
  return naps;
}

int main(void) {
  struct sigaction action = {.sa_handler = on_stop, .sa_flags = SA_RESTART};
  CHECK_OK(sigaction(SIGUSR2, &action, NULL));
  CHECK_OK(sem_init(&stopped, 0, 0));
  for (int i = 0; i <= kThreads; ++i) CHECK_OK(sem_init(&goes_on[i], 0, 0));
  CHECK_RC(pthread_barrier_init(&all_here, NULL, kThreads + 1));
  const int most = best_of(kRounds, kLeast, count_naps);
  if (most < kLeast) FAIL("%d naps beside %d stops", most, kStops);
  pass("who sleeps beside a collector is not put off");
  return 0;
}
