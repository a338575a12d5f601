// Threads that wait on a word to be moved over to a lock (FUTEX_WAIT_REQUEUE_PI): who gets the lock
// and what the word then holds; signals and limits before and after the move; and operations that
// do not belong together, which say EINVAL.
#include "check.h"
#include "futex.h"

static uint32_t condition, lock, other_lock;
static pid_t waiter_tid;
static int handled;

struct waiter {
  pthread_t thread;
  int operation;
  uint32_t* word;
  void* word2;
  uint32_t value;
  int64_t limit_ns;  // 0: none
  long result;
  int error;
  sem_t has_ended, may_unlock;
};

static uint32_t word_of(uint32_t* word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }

static void unlock(void) { CHECK_OK(futex(&lock, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0)); }

static void* waits(void* argument) {
  struct waiter* waiter = argument;
  struct timespec limit = after_ns(CLOCK_MONOTONIC, waiter->limit_ns);
  __atomic_store_n(&waiter_tid, gettid(), __ATOMIC_SEQ_CST);
  errno = 0;
  waiter->result = futex(waiter->word, waiter->operation | FUTEX_PRIVATE_FLAG, waiter->value,
                         waiter->limit_ns != 0 ? &limit : NULL, waiter->word2, 0);
  waiter->error = errno;
  CHECK_OK(sem_post(&waiter->has_ended));
  sem_take(&waiter->may_unlock);
  if (waiter->result == 0 && waiter->operation != FUTEX_WAIT) unlock();
  return NULL;
}

// Returns when it sleeps: its thread id.
static uint32_t start_waiter(struct waiter* waiter) {
  CHECK_OK(sem_init(&waiter->has_ended, 0, 0));
  CHECK_OK(sem_init(&waiter->may_unlock, 0, 0));
  waiter->thread = start_thread(waits, waiter);
  pid_t tid;
  while ((tid = __atomic_load_n(&waiter_tid, __ATOMIC_SEQ_CST)) == 0) sched_yield();
  settle_blocked(&waiter_tid);
  return (uint32_t)tid;
}

static struct waiter for_requeue(void) {
  return (struct waiter){.operation = FUTEX_WAIT_REQUEUE_PI, .word = &condition, .word2 = &lock};
}

static void check_result(struct waiter* waiter, long result, int error) {
  sem_take(&waiter->has_ended);
  CHECK_EQ(error, waiter->error);
  CHECK_EQ(result, waiter->result);
}

static void end(struct waiter* waiter) {
  CHECK_OK(sem_post(&waiter->may_unlock));
  join_thread(waiter->thread);
}

static int has_ended(struct waiter* waiter) {
  int value;
  CHECK_OK(sem_getvalue(&waiter->has_ended, &value));
  return value;
}

static long requeue(int count, int move, uint32_t* target) {
  return futex2(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, (uint32_t)count, (uint32_t)move, target,
                word_of(&condition));
}

static void on_signal(int signal) {
  (void)signal;
  __atomic_fetch_add(&handled, 1, __ATOMIC_SEQ_CST);
}

static void send_signal(struct waiter* waiter) {
  const int before = __atomic_load_n(&handled, __ATOMIC_SEQ_CST);
  CHECK_RC(pthread_kill(waiter->thread, SIGUSR1));
  while (__atomic_load_n(&handled, __ATOMIC_SEQ_CST) == before) sched_yield();
}

static void take(void) {
  CHECK_EQ(0, futex(&lock, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
  CHECK_EQ((uint32_t)gettid(), word_of(&lock));
}

static void free_lock(void) {
  CHECK_EQ(0, requeue(1, INT_MAX, &lock));  // nobody waits
  CHECK_EQ(0, word_of(&lock));

  struct waiter waiter = for_requeue();
  uint32_t tid = start_waiter(&waiter);
  CHECK_EQ(1, requeue(1, 0, &lock));
  check_result(&waiter, 0, 0);
  CHECK_EQ(tid, word_of(&lock));
  end(&waiter);
  CHECK_EQ(0, word_of(&lock));

  tid = start_waiter(&waiter);
  CHECK_EQ(1, requeue(1, INT_MAX, &lock));
  check_result(&waiter, 0, 0);
  CHECK_EQ(tid | FUTEX_WAITERS, word_of(&lock));
  end(&waiter);
  CHECK_EQ(0, word_of(&lock));

  // The first gets the lock, the second waits for it, the third to be moved.
  enum { kWaiters = 3 };
  struct waiter waiters[kWaiters];
  uint32_t tids[kWaiters];
  for (int i = 0; i < kWaiters; ++i) {
    waiters[i] = for_requeue();
    tids[i] = start_waiter(&waiters[i]);
  }
  CHECK_EQ(2, requeue(1, 1, &lock));
  check_result(&waiters[0], 0, 0);
  CHECK_EQ(tids[0] | FUTEX_WAITERS, word_of(&lock));
  settle();
  CHECK_EQ(0, has_ended(&waiters[1]));
  end(&waiters[0]);
  check_result(&waiters[1], 0, 0);
  CHECK_EQ(tids[1], word_of(&lock) & FUTEX_TID_MASK);
  CHECK_EQ(1, requeue(1, 0, &lock));
  settle();
  CHECK_EQ(0, has_ended(&waiters[2]));
  CHECK_EQ(tids[1] | FUTEX_WAITERS, word_of(&lock));
  end(&waiters[1]);
  check_result(&waiters[2], 0, 0);
  CHECK_EQ(tids[2], word_of(&lock) & FUTEX_TID_MASK);
  end(&waiters[2]);
  CHECK_EQ(0, word_of(&lock));
}

static void interrupted(void) {
  const struct sigaction action = {.sa_handler = on_signal};  // no SA_RESTART
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));

  struct waiter waiter = for_requeue();
  uint32_t tid = start_waiter(&waiter);
  send_signal(&waiter);
  settle();
  CHECK_EQ(0, has_ended(&waiter));  // it waits again
  take();
  while (requeue(1, 0, &lock) != 1) sched_yield();
  CHECK_EQ((uint32_t)gettid() | FUTEX_WAITERS, word_of(&lock));
  send_signal(&waiter);
  check_result(&waiter, -1, EAGAIN);  // it cannot
  end(&waiter);
  unlock();
  CHECK_EQ(0, word_of(&lock));

  tid = start_waiter(&waiter);
  __atomic_store_n(&condition, 1, __ATOMIC_SEQ_CST);
  send_signal(&waiter);
  check_result(&waiter, -1, EAGAIN);
  end(&waiter);
  __atomic_store_n(&condition, 0, __ATOMIC_SEQ_CST);
  CHECK_EQ(0, requeue(1, 0, &lock));
  (void)tid;
}

static void limited(void) {
  take();
  struct waiter waiter = for_requeue();
  waiter.limit_ns = MS(1500);
  start_waiter(&waiter);
  CHECK_EQ(1, requeue(1, 0, &lock));
  check_result(&waiter, -1, ETIMEDOUT);
  end(&waiter);
  unlock();
  CHECK_EQ(0, word_of(&lock));
}

static void mismatched(void) {
  struct waiter waiter = for_requeue();
  uint32_t tid = start_waiter(&waiter);
  CHECK_ERRNO(EINVAL, futex(&condition, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
  CHECK_ERRNO(EINVAL, futex(&condition, FUTEX_WAKE_BITSET_PRIVATE, 1, NULL, NULL, 2));
  CHECK_ERRNO(EINVAL, futex2(&condition, FUTEX_REQUEUE_PRIVATE, 0, 1, &other_lock, 0));
  CHECK_EQ(0, futex2(&condition, FUTEX_REQUEUE_PRIVATE, 0, 0, &other_lock, 0));
  CHECK_ERRNO(EINVAL, futex2(&condition, FUTEX_CMP_REQUEUE_PRIVATE, 1, 1, &lock, 0));
  CHECK_ERRNO(EINVAL, futex2(&condition, FUTEX_WAKE_OP_PRIVATE, 1, 1, &other_lock, 0));
  CHECK_ERRNO(EINVAL, requeue(1, 1, &other_lock));
  CHECK_EQ(0, futex(&condition, FUTEX_WAKE, 1, NULL, NULL, 0));  // it waits privately
  settle();
  CHECK_EQ(0, has_ended(&waiter));
  CHECK_EQ(1, requeue(1, 0, &lock));
  check_result(&waiter, 0, 0);
  CHECK_EQ(tid, word_of(&lock));

  // Who waits for the lock is not woken or moved.
  struct waiter locks = {.operation = FUTEX_LOCK_PI, .word = &lock};
  start_waiter(&locks);
  CHECK_ERRNO(EINVAL, futex(&lock, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
  CHECK_ERRNO(EINVAL, futex2(&lock, FUTEX_REQUEUE_PRIVATE, 1, 1, &condition, 0));
  CHECK_ERRNO(EINVAL,
              futex2(&lock, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, 1, &other_lock, word_of(&lock)));
  end(&waiter);
  check_result(&locks, 0, 0);
  end(&locks);
  CHECK_EQ(0, word_of(&lock));

  // Who just waits is not moved to a lock, and is in the way of those who want one.
  struct waiter plain = {.operation = FUTEX_WAIT, .word = &condition};
  start_waiter(&plain);
  CHECK_ERRNO(EINVAL, requeue(1, 1, &lock));
  CHECK_ERRNO(EINVAL, futex(&condition, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
  CHECK_ERRNO(EINVAL, futex(&condition, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
  __atomic_store_n(&condition, (uint32_t)gettid(), __ATOMIC_SEQ_CST);
  CHECK_ERRNO(EINVAL, futex(&condition, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
  __atomic_store_n(&condition, 0, __ATOMIC_SEQ_CST);
  CHECK_EQ(1, futex(&condition, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
  check_result(&plain, 0, 0);
  end(&plain);

  CHECK_ERRNO(EINVAL, requeue(0, 1, &lock));
  CHECK_ERRNO(EINVAL, requeue(2, 1, &lock));
  CHECK_ERRNO(EINVAL, requeue(1, -1, &lock));
  CHECK_ERRNO(EINVAL, requeue(1, 1, &condition));
}

int main(void) {
  be_threaded();
  free_lock();
  pass("a lock that is free, and one that is not");
  interrupted();
  pass("signals");
  limited();
  pass("limit");
  mismatched();
  pass("operations that do not belong together");
  return 0;
}
