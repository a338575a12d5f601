// Asks for the CPU time, which the vDSO asks the Linux kernel for, a thousand times in a process
// that has had a second thread.
#include <pthread.h>
#include <stdio.h>
#include <time.h>

static void* end_at_once(void* argument) { return argument; }

int main(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, end_at_once, NULL) != 0) return 1;
  pthread_join(thread, NULL);
  struct timespec before, now;
  if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before) != 0) return 1;
  for (int i = 0; i < 1000; ++i) {
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) != 0) return 1;
    if (now.tv_sec < before.tv_sec || (now.tv_sec == before.tv_sec && now.tv_nsec < before.tv_nsec))
      return 1;
    before = now;
  }
  puts("asked");
}
