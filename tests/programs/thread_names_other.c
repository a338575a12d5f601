// A thread's name can be set and read by another thread, which glibc does through /proc.
#include <sys/prctl.h>

#include "check.h"

static sem_t go, renamed;

static void* body(void* argument) {
  char came[32] = {0};
  CHECK_OK(prctl(PR_SET_NAME, "mine"));
  CHECK_OK(sem_post(&go));
  sem_take(&renamed);
  CHECK_OK(prctl(PR_GET_NAME, came));
  CHECK_STR("given", came);
  return argument;
}

int main(void) {
  char came[32] = {0}, before[32] = {0}, after[32] = {0};
  CHECK_OK(sem_init(&go, 0, 0));
  CHECK_OK(sem_init(&renamed, 0, 0));
  CHECK_OK(prctl(PR_GET_NAME, before));
  pthread_t thread = start_thread(body, NULL);
  sem_take(&go);
  CHECK_RC(pthread_getname_np(thread, came, sizeof came));
  CHECK_STR("mine", came);
  CHECK_RC(pthread_setname_np(thread, "given"));
  CHECK_RC(pthread_getname_np(thread, came, sizeof came));
  CHECK_STR("given", came);
  CHECK_OK(sem_post(&renamed));
  join_thread(thread);
  CHECK_OK(prctl(PR_GET_NAME, after));
  CHECK_STR(before, after);
  pass("the name of another thread");
  return 0;
}
