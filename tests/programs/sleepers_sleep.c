// While all threads sleep, the process sleeps: next to nothing wakes it meanwhile.
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

enum { kThreads = 3, kMilliseconds = 500, kMostSwitches = 400 };

static void* sleeper(void* argument) {
  usleep(kMilliseconds * 1000);
  return argument;
}

static long switches(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nvcsw + usage.ru_nivcsw;
}

int main(void) {
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) pthread_create(&threads[i], NULL, sleeper, NULL);
  usleep(50 * 1000);  // what begins has begun
  const long before = switches();
  for (int i = 0; i < kThreads; ++i) pthread_join(threads[i], NULL);
  const long meanwhile = switches() - before;
  if (meanwhile > kMostSwitches) printf("%ld switches\n", meanwhile);
  puts("slept");
  return 0;
}
