// The main thread may end by pthread_exit; the others go on and the last one ends the process with
// status 0.
#include "check.h"

static pthread_t main_thread;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn = 0;

static void at_exit_of_process(void) { pass("atexit handlers run at the end of the last thread"); }

static void take_turn(int mine) {
  struct timespec deadline = after_ns(CLOCK_REALTIME, MS(kBoundMs));
  CHECK_RC(pthread_mutex_lock(&mutex));
  while (turn != mine) CHECK_RC(pthread_cond_timedwait(&changed, &mutex, &deadline));
  CHECK_RC(pthread_mutex_unlock(&mutex));
}

static void next_turn(void) {
  CHECK_RC(pthread_mutex_lock(&mutex));
  ++turn;
  CHECK_RC(pthread_cond_broadcast(&changed));
  CHECK_RC(pthread_mutex_unlock(&mutex));
}

static void* first(void* argument) {
  (void)argument;
  CHECK_EQ(17, (intptr_t)join_thread(main_thread));
  pass("the main thread can be joined");
  settle();
  next_turn();
  return NULL;
}

static void* second(void* argument) {
  (void)argument;
  take_turn(1);
  settle();
  pass("threads outlive the main thread");
  next_turn();
  return NULL;
}

static void* last(void* argument) {
  (void)argument;
  take_turn(2);
  settle();
  CHECK_EQ(3, (intptr_t)join_thread(start_thread(do_nothing, (void*)3)));
  pass("and create others");
  return (void*)99;
}

int main(void) {
  CHECK_RC(atexit(at_exit_of_process));
  main_thread = pthread_self();
  start_thread(last, NULL);
  CHECK_RC(pthread_detach(start_thread(second, NULL)));
  start_thread(first, NULL);
  pthread_exit((void*)17);
}
