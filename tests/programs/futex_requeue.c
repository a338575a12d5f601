// FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET, FUTEX_REQUEUE and FUTEX_CMP_REQUEUE by the raw system call.
#include "check.h"
#include "futex.h"

enum { kThreads = 8 };

static uint32_t first, second;
static int returned[kThreads];

static int count_returned(void) {
  int n = 0;
  for (int i = 0; i < kThreads; ++i) n += __atomic_load_n(&returned[i], __ATOMIC_SEQ_CST);
  return n;
}

static void* waits_for_bit(void* argument) {
  int bit = (int)(intptr_t)argument;
  struct timespec deadline = after_ns(CLOCK_MONOTONIC, MS(kBoundMs));
  CHECK_EQ(0, futex(&first, FUTEX_WAIT_BITSET_PRIVATE, 0, &deadline, NULL, 1u << bit));
  __atomic_store_n(&returned[bit], 1, __ATOMIC_SEQ_CST);
  return argument;
}

static void* waits(void* argument) {
  struct timespec deadline = after_ns(CLOCK_MONOTONIC, MS(kBoundMs));
  CHECK_EQ(0, futex(&first, FUTEX_WAIT_BITSET_PRIVATE, 0, &deadline, NULL, FUTEX_BITSET_MATCH_ANY));
  __atomic_store_n(&returned[(intptr_t)argument], 1, __ATOMIC_SEQ_CST);
  return argument;
}

static void wake_bits(uint32_t bits, int n) {
  int woken = 0;
  for (int64_t begin = mono_ns(); woken < n;) {
    long now = futex(&first, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, bits);
    CHECK(now >= 0);
    woken += (int)now;
    CHECK(mono_ns() - begin < MS(kBoundMs));
    if (woken < n) usleep(500);
  }
  CHECK_EQ(n, woken);
}

// Moves waiters to the second word until all threads wait there.
static void requeue_all(int op) {
  int moved = 0;
  for (int64_t begin = mono_ns(); moved < kThreads;) {
    long now = futex2(&first, op, 0, 3, &second, 0);
    CHECK(now >= 0 && now <= 3);
    moved += (int)now;
    CHECK(mono_ns() - begin < MS(kBoundMs));
    if (now == 0) usleep(500);
  }
  CHECK_EQ(kThreads, moved);
  CHECK_EQ(0, count_returned());
}

int main(void) {
  pthread_t threads[kThreads];

  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = start_thread(waits_for_bit, (void*)i);
  wake_bits(1u << 3, 1);
  join_thread(threads[3]);
  CHECK_EQ(1, count_returned());
  wake_bits(1u << 1 | 1u << 6, 2);
  join_thread(threads[1]);
  join_thread(threads[6]);
  CHECK_EQ(3, count_returned());
  CHECK_EQ(0, futex(&first, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, 1u << 31));
  wake_bits(FUTEX_BITSET_MATCH_ANY, kThreads - 3);
  for (int i = 0; i < kThreads; ++i) {
    if (i != 1 && i != 3 && i != 6) join_thread(threads[i]);
  }
  pass("only those whose bits match are woken");

  clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME};
  for (int i = 0; i < 2; ++i) {
    struct timespec deadline = after_ns(clocks[i], MS(30));
    int op = FUTEX_WAIT_BITSET_PRIVATE | (i ? FUTEX_CLOCK_REALTIME : 0);
    CHECK_ERRNO(ETIMEDOUT, futex(&first, op, 0, &deadline, NULL, FUTEX_BITSET_MATCH_ANY));
    CHECK_BETWEEN(to_ns(deadline), now_ns(clocks[i]), to_ns(deadline) + MS(5000));
    struct timespec past = {1, 0};
    CHECK_ERRNO(ETIMEDOUT, futex(&first, op, 0, &past, NULL, 1));
    CHECK_ERRNO(EAGAIN, futex(&first, op, 1, &past, NULL, 1));
  }
  pass("absolute timeouts on both clocks");

  for (int op = 0; op < 2; ++op) {
    memset(returned, 0, sizeof returned);
    for (intptr_t i = 0; i < kThreads; ++i) threads[i] = start_thread(waits, (void*)i);
    requeue_all(op ? FUTEX_CMP_REQUEUE_PRIVATE : FUTEX_REQUEUE_PRIVATE);
    CHECK_EQ(0, futex(&first, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
    CHECK_EQ(2, futex(&second, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0));
    // Back to the first word: one is woken, the others move.
    CHECK_EQ(kThreads - 2, futex2(&second, FUTEX_CMP_REQUEUE_PRIVATE, 1, INT_MAX, &first, 0));
    CHECK_EQ(0, futex(&second, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
    // To the word where they wait: they stay, and count as moved.
    CHECK_EQ(kThreads - 3, futex2(&first, FUTEX_CMP_REQUEUE_PRIVATE, 0, INT_MAX, &first, 0));
    CHECK_EQ(kThreads - 3, futex(&first, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
    for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  }
  pass("requeue and cmp_requeue");

  CHECK_ERRNO(EAGAIN, futex2(&first, FUTEX_CMP_REQUEUE_PRIVATE, 1, 1, &second, 5));
  CHECK_EQ(0, futex2(&first, FUTEX_CMP_REQUEUE_PRIVATE, 1, 1, &second, 0));
  CHECK_ERRNO(EINVAL, futex2(&first, FUTEX_REQUEUE_PRIVATE, (uint32_t)-1, 1, &second, 0));
  CHECK_ERRNO(EINVAL, futex2(&first, FUTEX_REQUEUE_PRIVATE, 1, (uint32_t)-1, &second, 0));
  pass("errors of requeue");
  return 0;
}
