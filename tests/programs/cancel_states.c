// When a cancellation acts: not while disabled, at the next point once enabled, at once under the
// asynchronous type, and before a call that would not have blocked.
#include "check.h"

static int ends[2];
static sem_t entered, cancelled;
static int reached;

static void* disabled(void* argument) {
  int old;
  CHECK_RC(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old));
  CHECK_EQ(PTHREAD_CANCEL_ENABLE, old);
  CHECK_OK(sem_post(&entered));
  sem_take(&cancelled);
  char c;
  CHECK_EQ(1, read(ends[0], &c, 1));
  pthread_testcancel();
  usleep(100);
  reached = 1;
  CHECK_RC(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old));
  CHECK_EQ(PTHREAD_CANCEL_DISABLE, old);
  reached = 2;
  pthread_testcancel();
  reached = 3;
  return argument;
}

static void* disabled_to_the_end(void* argument) {
  CHECK_RC(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL));
  CHECK_OK(sem_post(&entered));
  sem_take(&cancelled);
  return argument;
}

static void* asynchronous(void* argument) {
  int old;
  CHECK_RC(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old));
  CHECK_EQ(PTHREAD_CANCEL_DEFERRED, old);
  CHECK_OK(sem_post(&entered));
  for (;;) sched_yield();  // no cancellation point
  return argument;
}

static void* pending(void* argument) {
  CHECK_OK(sem_post(&entered));
  // Neither of these is a cancellation point.
  while (!__atomic_load_n(&reached, __ATOMIC_SEQ_CST)) sched_yield();
  char c;
  read(ends[0], &c, 1);  // a byte is there, yet the cancellation comes first
  FAIL("read returned although a cancellation was pending");
  return argument;
}

static void* cancels_itself(void* argument) {
  CHECK_RC(pthread_cancel(pthread_self()));
  reached = 1;
  pthread_testcancel();
  reached = 2;
  return argument;
}

static void add_digit(void* argument) { reached = reached * 10 + (int)(intptr_t)argument; }

static void* cleanup_order(void* argument) {
  pthread_cleanup_push(add_digit, (void*)1);
  pthread_cleanup_push(add_digit, (void*)2);
  pthread_cleanup_push(add_digit, (void*)3);
  pthread_cleanup_push(add_digit, (void*)4);
  pthread_cleanup_pop(0);
  pthread_cleanup_pop(1);
  usleep(100);
  pthread_exit(argument);
  pthread_cleanup_pop(0);
  pthread_cleanup_pop(0);
}

static void* mutex_is_no_point(void* argument) {
  CHECK_OK(sem_post(&entered));
  CHECK_RC(pthread_mutex_lock(argument));
  reached = 1;
  CHECK_RC(pthread_mutex_unlock(argument));
  pthread_testcancel();
  reached = 2;
  return NULL;
}

int main(void) {
  CHECK_OK(pipe(ends));
  CHECK_OK(sem_init(&entered, 0, 0));
  CHECK_OK(sem_init(&cancelled, 0, 0));

  pthread_t thread = start_thread(disabled, NULL);
  sem_take(&entered);
  CHECK_RC(pthread_cancel(thread));
  CHECK_OK(sem_post(&cancelled));
  settle();
  CHECK_EQ(1, write(ends[1], "x", 1));
  CHECK(join_thread(thread) == PTHREAD_CANCELED);
  CHECK_EQ(2, reached);
  pass("disabled, then enabled");

  thread = start_thread(disabled_to_the_end, &thread);
  sem_take(&entered);
  CHECK_RC(pthread_cancel(thread));
  CHECK_OK(sem_post(&cancelled));
  CHECK(join_thread(thread) == &thread);
  pass("disabled to the end");

  for (int i = 0; i < 10; ++i) {
    thread = start_thread(asynchronous, NULL);
    sem_take(&entered);
    if (i % 2) settle();
    CHECK_RC(pthread_cancel(thread));
    CHECK(join_thread(thread) == PTHREAD_CANCELED);
  }
  pass("asynchronous");

  reached = 0;
  thread = start_thread(pending, NULL);
  sem_take(&entered);
  CHECK_EQ(1, write(ends[1], "x", 1));
  CHECK_RC(pthread_cancel(thread));
  __atomic_store_n(&reached, 1, __ATOMIC_SEQ_CST);
  CHECK(join_thread(thread) == PTHREAD_CANCELED);
  char c = 0;
  CHECK_EQ(1, read(ends[0], &c, 1));
  CHECK_EQ('x', c);
  pass("pending at the next point, before the call does anything");

  reached = 0;
  CHECK(join_thread(start_thread(cancels_itself, NULL)) == PTHREAD_CANCELED);
  CHECK_EQ(1, reached);
  pass("of the thread itself");

  reached = 0;
  CHECK(join_thread(start_thread(cleanup_order, &c)) == &c);
  CHECK_EQ(321, reached);
  pass("cleanup handlers at pthread_exit, last first");

  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  CHECK_RC(pthread_mutex_lock(&mutex));
  reached = 0;
  thread = start_thread(mutex_is_no_point, &mutex);
  sem_take(&entered);
  settle();
  CHECK_RC(pthread_cancel(thread));
  settle();
  CHECK_EQ(EBUSY, pthread_tryjoin_np(thread, NULL));
  CHECK_RC(pthread_mutex_unlock(&mutex));
  CHECK(join_thread(thread) == PTHREAD_CANCELED);
  CHECK_EQ(1, reached);
  pass("waiting for a mutex is no cancellation point");
  return 0;
}
