// C11 <threads.h>: thrd, mtx, cnd, tss, call_once, thread_local.
#include <threads.h>

#include "check.h"

enum { kThreads = 20 };

static mtx_t mutex;
static cnd_t changed;
static tss_t key;
static once_flag once = ONCE_FLAG_INIT;
static int initialised, started, destroyed;
static thread_local int local = 3;

static void initialise(void) {
  struct timespec t = {0, 1000000};
  thrd_sleep(&t, NULL);
  ++initialised;
}

static void destroy(void* value) { *(int*)value = -1; }

static int body(void* argument) {
  int* slot = argument;
  call_once(&once, initialise);
  CHECK_EQ(1, initialised);
  CHECK(tss_get(key) == NULL);
  CHECK_EQ(thrd_success, tss_set(key, slot));
  local += *slot;
  CHECK_EQ(thrd_success, mtx_lock(&mutex));
  ++started;
  CHECK_EQ(thrd_success, cnd_broadcast(&changed));
  while (started < kThreads) CHECK_EQ(thrd_success, cnd_wait(&changed, &mutex));
  CHECK_EQ(thrd_success, mtx_unlock(&mutex));
  thrd_yield();
  CHECK(tss_get(key) == slot);
  CHECK_EQ(3 + *slot, local);
  if (*slot % 2) thrd_exit(*slot);
  return *slot;
}

static int try_lock(void* argument) { return mtx_trylock(argument); }

static int timed_lock(void* argument) {
  struct timespec deadline = after_ns(CLOCK_REALTIME, MS(20));
  int rc = mtx_timedlock(argument, &deadline);
  CHECK(rc != thrd_timedout || now_ns(CLOCK_REALTIME) >= to_ns(deadline));
  return rc;
}

static int in_other_thread(thrd_start_t what, mtx_t* which) {
  thrd_t thread;
  int result;
  CHECK_EQ(thrd_success, thrd_create(&thread, what, which));
  CHECK_EQ(thrd_success, thrd_join(thread, &result));
  return result;
}

int main(void) {
  thrd_t threads[kThreads];
  int slots[kThreads];
  CHECK_EQ(thrd_success, mtx_init(&mutex, mtx_timed));
  CHECK_EQ(thrd_success, cnd_init(&changed));
  CHECK_EQ(thrd_success, tss_create(&key, destroy));
  for (int i = 0; i < kThreads; ++i) {
    slots[i] = i;
    CHECK_EQ(thrd_success, thrd_create(&threads[i], body, &slots[i]));
  }
  for (int i = 0; i < kThreads; ++i) {
    int result = -1;
    CHECK_EQ(thrd_success, thrd_join(threads[i], &result));
    CHECK_EQ(i, result);
    destroyed += slots[i] == -1;
  }
  CHECK_EQ(kThreads, destroyed);
  CHECK_EQ(3, local);
  pass("threads");

  CHECK_EQ(thrd_success, mtx_lock(&mutex));
  CHECK_EQ(thrd_busy, in_other_thread(try_lock, &mutex));
  CHECK_EQ(thrd_timedout, in_other_thread(timed_lock, &mutex));
  struct timespec deadline = after_ns(CLOCK_REALTIME, MS(20));
  int rc;
  while ((rc = cnd_timedwait(&changed, &mutex, &deadline)) == thrd_success) {
  }
  CHECK_EQ(thrd_timedout, rc);
  CHECK(now_ns(CLOCK_REALTIME) >= to_ns(deadline));
  CHECK_EQ(thrd_success, mtx_unlock(&mutex));
  pass("timeouts");

  mtx_t recursive;
  CHECK_EQ(thrd_success, mtx_init(&recursive, mtx_recursive | mtx_timed));
  CHECK_EQ(thrd_success, mtx_lock(&recursive));
  CHECK_EQ(thrd_success, mtx_trylock(&recursive));
  CHECK_EQ(thrd_busy, in_other_thread(try_lock, &recursive));
  CHECK_EQ(thrd_success, mtx_unlock(&recursive));
  CHECK_EQ(thrd_success, mtx_unlock(&recursive));
  CHECK_EQ(thrd_success, in_other_thread(try_lock, &recursive));
  pass("recursive mutex");
  return 0;
}
