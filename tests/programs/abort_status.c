// abort in a thread: the process dies of SIGABRT although the signal is blocked, and what stdio
// holds back is lost, not written twice.
#include <sys/resource.h>

#include "check.h"

static void* aborts(void* argument) {
  sigset_t set;
  sigfillset(&set);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  usleep(1000);
  abort();
  return argument;
}

static void* blocks(void* argument) {
  pause();
  return argument;
}

int main(void) {
  struct rlimit none = {0, 0};
  CHECK_OK(setrlimit(RLIMIT_CORE, &none));
  pass("before");
  for (int i = 0; i < 5; ++i) start_thread(blocks, NULL);
  printf("held back");
  pthread_join(start_thread(aborts, NULL), NULL);
  return 1;
}
