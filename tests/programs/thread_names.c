// Each thread has a name of its own, inherited from its creator.
#include <sys/prctl.h>

#include "check.h"

enum { kThreads = 20 };

static pthread_barrier_t barrier;

static void* body(void* argument) {
  int id = (int)(intptr_t)argument;
  char name[32], came[32] = {0};
  CHECK_OK(prctl(PR_GET_NAME, came));
  CHECK_STR("creator", came);
  snprintf(name, sizeof name, "worker-%d", id);
  if (id % 2) {
    CHECK_OK(prctl(PR_SET_NAME, name));
  } else {
    CHECK_RC(pthread_setname_np(pthread_self(), name));
  }
  pthread_barrier_wait(&barrier);
  usleep(100);
  CHECK_OK(prctl(PR_GET_NAME, came));
  CHECK_STR(name, came);
  CHECK_RC(pthread_getname_np(pthread_self(), came, sizeof came));
  CHECK_STR(name, came);
  pthread_barrier_wait(&barrier);
  return argument;
}

static void* limits(void* argument) {
  char came[32] = {0};
  CHECK_EQ(ERANGE, pthread_setname_np(pthread_self(), "sixteen letters!"));
  CHECK_EQ(ERANGE, pthread_getname_np(pthread_self(), came, 8));
  CHECK_OK(prctl(PR_SET_NAME, "longer than fifteen letters"));
  CHECK_OK(prctl(PR_GET_NAME, came));
  CHECK_STR("longer than fif", came);
  CHECK_ERRNO(EFAULT, prctl(PR_SET_NAME, 1L));
  return argument;
}

int main(void) {
  char came[32] = {0};
  pthread_t threads[kThreads];
  CHECK_RC(pthread_barrier_init(&barrier, NULL, kThreads));
  CHECK_OK(prctl(PR_SET_NAME, "creator"));
  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = start_thread(body, (void*)i);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_OK(prctl(PR_GET_NAME, came));
  CHECK_STR("creator", came);
  pass("a name for each thread");
  join_thread(start_thread(limits, NULL));
  pass("limits");
  return 0;
}
