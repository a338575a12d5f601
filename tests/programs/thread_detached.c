// Detached threads run to their end without being joined, and leave nothing behind that would stop
// a program that makes many of them.
#include "check.h"

static sem_t done;
static sem_t go;

static void* finishes(void* argument) {
  (void)argument;
  CHECK_RC(sem_post(&done));
  return NULL;
}

static void* detaches_itself(void* argument) {
  CHECK_RC(pthread_detach(pthread_self()));
  return finishes(argument);
}

static void* waits(void* argument) {
  sem_take(&go);
  return finishes(argument);
}

int main(void) {
  CHECK_RC(sem_init(&done, 0, 0));
  CHECK_RC(sem_init(&go, 0, 0));

  pthread_attr_t attr;
  CHECK_RC(pthread_attr_init(&attr));
  CHECK_RC(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED));
  pthread_t thread;
  for (int i = 0; i < 1000; ++i) {
    CHECK_RC(pthread_create(&thread, &attr, finishes, NULL));
    if (i >= 20) sem_take(&done);
  }
  for (int i = 0; i < 20; ++i) sem_take(&done);
  pass("created detached");

  for (int i = 0; i < 100; ++i) {
    start_thread(detaches_itself, NULL);
    sem_take(&done);
  }
  pass("detached by themselves");

  thread = start_thread(waits, NULL);
  CHECK_RC(pthread_detach(thread));
  CHECK_EQ(EINVAL, pthread_join(thread, NULL));
  CHECK_EQ(EINVAL, pthread_detach(thread));
  CHECK_RC(sem_post(&go));
  sem_take(&done);
  pass("a detached thread cannot be joined");

  CHECK_RC(pthread_create(&thread, &attr, waits, NULL));
  int state = -1;
  pthread_attr_t own;
  CHECK_RC(pthread_getattr_np(thread, &own));
  CHECK_RC(pthread_attr_getdetachstate(&own, &state));
  CHECK_EQ(PTHREAD_CREATE_DETACHED, state);
  CHECK_RC(pthread_attr_destroy(&own));
  CHECK_RC(sem_post(&go));
  sem_take(&done);
  pass("the attribute is reported");
  return 0;
}
