// A thread that computes without ever calling the system does not stop the others: those it waits
// for by spinning, those that sleep, and those that want to cancel it.
#include "check.h"

static volatile int flag;
static pthread_spinlock_t spin;
static long counter;

static void spin_until_set(void) {
  for (int64_t begin = mono_ns(); !flag;) {  // the clock is read without a system call
    if (mono_ns() - begin > MS(kBoundMs)) FAIL("the other thread did not get to run");
  }
}

static void* sets_flag(void* argument) {
  flag = 1;
  return argument;
}

static void* spins(void* argument) {
  spin_until_set();
  return argument;
}

static void* computes_for_ever(void* argument) {
  CHECK_RC(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL));
  *(volatile int*)argument = 1;
  for (volatile unsigned long i = 0;; ++i) {
  }
  return NULL;
}

static void* uses_spinlock(void* argument) {
  for (int i = 0; i < 20000; ++i) {
    CHECK_RC(pthread_spin_lock(&spin));
    ++counter;
    CHECK_RC(pthread_spin_unlock(&spin));
  }
  return argument;
}

int main(void) {
  pthread_t thread = start_thread(sets_flag, NULL);
  spin_until_set();
  join_thread(thread);
  pass("spinning until a new thread has run");

  flag = 0;
  thread = start_thread(spins, NULL);
  usleep(1000);
  flag = 1;
  join_thread(thread);
  pass("sleeping while another spins");

  flag = 0;
  thread = start_thread(computes_for_ever, (void*)&flag);
  spin_until_set();
  CHECK_RC(pthread_cancel(thread));
  CHECK(join_thread(thread) == PTHREAD_CANCELED);
  pass("asynchronous cancellation of a computation");

  CHECK_RC(pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE));
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i) threads[i] = start_thread(uses_spinlock, NULL);
  for (int i = 0; i < 4; ++i) join_thread(threads[i]);
  CHECK_EQ(80000, counter);
  pass("pthread_spin_lock");
  return 0;
}
