// A thread that wakes a few times a second, as many an idle server has: the process sleeps between.
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

enum { kTimes = 8, kMilliseconds = 250, kMostSwitches = 120 };

static void* waker(void* argument) {
  for (int i = 0; i < kTimes; ++i) usleep(kMilliseconds * 1000);
  return argument;
}

static long switches(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nvcsw;
}

int main(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, waker, NULL);
  usleep(50 * 1000);  // what begins has begun
  const long before = switches();
  pthread_join(thread, NULL);
  const long meanwhile = switches() - before;
  if (meanwhile > kMostSwitches) printf("%ld switches\n", meanwhile);
  puts("slept");
  return 0;
}
