// FUTEX_WAIT_REQUEUE_PI and FUTEX_CMP_REQUEUE_PI: condition variables whose mutex inherits
// priority, as older C libraries and real-time libraries make them.
#include "check.h"
#include "futex.h"

enum { kThreads = 5 };

static uint32_t condition;
static uint32_t lock;
static uint32_t inside;
static pid_t tid;

static void take(void) {
  uint32_t free = 0;
  if (!__atomic_compare_exchange_n(&lock, &free, (uint32_t)gettid(), 0, __ATOMIC_SEQ_CST,
                                   __ATOMIC_SEQ_CST)) {
    CHECK_OK(futex(&lock, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
  }
}

static void give(void) {
  uint32_t own = (uint32_t)gettid();
  if (!__atomic_compare_exchange_n(&lock, &own, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    CHECK_OK(futex(&lock, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
  }
}

static void* waits(void* argument) {
  __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
  CHECK_EQ(0, futex(&condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, argument, &lock, 0));
  CHECK_EQ((uint32_t)gettid(), __atomic_load_n(&lock, __ATOMIC_SEQ_CST) & FUTEX_TID_MASK);
  CHECK_EQ(0, inside);
  inside = 1;
  sched_yield();
  inside = 0;
  give();
  return NULL;
}

int main(void) {
  be_threaded();
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) {
    threads[i] = start_thread(waits, NULL);
    settle_blocked(&tid);
  }
  CHECK_ERRNO(EAGAIN, futex2(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, INT_MAX, &lock, 7));
  CHECK_ERRNO(EINVAL, futex2(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 2, INT_MAX, &lock, 0));
  take();
  CHECK_EQ(kThreads, futex2(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, INT_MAX, &lock, 0));
  settle();
  CHECK_EQ((uint32_t)gettid(), __atomic_load_n(&lock, __ATOMIC_SEQ_CST) & FUTEX_TID_MASK);
  give();
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_EQ(0, lock);
  pass("all get the lock, one after the other");

  struct timespec soon = after_ns(CLOCK_MONOTONIC, MS(20));
  CHECK_ERRNO(ETIMEDOUT, futex(&condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, &soon, &lock, 0));
  CHECK_ERRNO(EAGAIN, futex(&condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 1, &soon, &lock, 0));
  CHECK_ERRNO(EINVAL, futex(&lock, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, &soon, &lock, 0));
  CHECK_EQ(0, lock);
  pass("limit and errors");
  return 0;
}
