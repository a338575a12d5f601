// pthread_atfork handlers: prepare in reverse order, parent and child in order, all in the forking
// thread, so that a lock taken in prepare is free in the child.
#include "check.h"

static char trail[64];
static pthread_t forker;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void add(char c) {
  CHECK(pthread_equal(forker, pthread_self()));
  size_t n = strlen(trail);
  trail[n] = c;
  trail[n + 1] = '\0';
}

static void prepare_first(void) { add('a'); }
static void parent_first(void) { add('b'); }
static void child_first(void) { add('c'); }
static void prepare_second(void) {
  CHECK_RC(pthread_mutex_lock(&mutex));
  add('d');
}
static void parent_second(void) {
  add('e');
  CHECK_RC(pthread_mutex_unlock(&mutex));
}
static void child_second(void) {
  add('f');
  CHECK_RC(pthread_mutex_unlock(&mutex));
}

static void* locks(void* argument) {
  for (int i = 0; i < 2000; ++i) {
    CHECK_RC(pthread_mutex_lock(&mutex));
    if (i % 10 == 0) sched_yield();
    CHECK_RC(pthread_mutex_unlock(&mutex));
  }
  return argument;
}

static void* forks(void* argument) {
  forker = pthread_self();
  for (int i = 0; i < 10; ++i) {
    trail[0] = '\0';
    pid_t child = fork();
    CHECK_OK(child);
    if (child == 0) {
      CHECK_STR("dacf", trail);
      CHECK_RC(pthread_mutex_trylock(&mutex));
      CHECK_RC(pthread_mutex_unlock(&mutex));
      join_thread(start_thread(locks, NULL));
      _exit(0);
    }
    CHECK_STR("dabe", trail);
    CHECK_EXITED(0, child);
  }
  return argument;
}

int main(void) {
  CHECK_RC(pthread_atfork(prepare_first, parent_first, child_first));
  CHECK_RC(pthread_atfork(prepare_second, parent_second, child_second));
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i) threads[i] = start_thread(locks, NULL);
  join_thread(start_thread(forks, NULL));
  for (int i = 0; i < 4; ++i) join_thread(threads[i]);
  pass("order, and locks across fork");
  return 0;
}
