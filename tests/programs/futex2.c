// futex_waitv, futex_wake, futex_wait and futex_requeue: the futex calls with a number each. Where
// the kernel does not have them there is nothing to compare.
#include <sys/mman.h>

#include "check.h"
#include "futex.h"

enum { kWaitv = 449, kWake = 454, kWait = 455, kRequeue = 456 };
enum { kSize32 = 2, kPrivate = 128 | kSize32 };
static const unsigned long kAll = 0xffffffff;

struct alternative {
  uint64_t value;
  uint64_t address;
  uint32_t flags;
  uint32_t reserved;
};

static uint32_t words[200];
static uint32_t* shared;  // with other processes
static pid_t tid;

static struct alternative on(uint32_t* word, uint64_t value, uint32_t flags) {
  struct alternative a = {value, (uintptr_t)word, flags, 0};
  return a;
}

static long waitv(struct alternative* list, unsigned count, const struct timespec* limit,
                  clockid_t clock) {
  return syscall(kWaitv, list, count, 0, limit, clock);
}

static void* waits_on_three(void* argument) {
  struct alternative list[] = {on(&words[0], 0, kPrivate), on(&words[1], 0, kPrivate),
                               on(&words[2], 0, kPrivate)};
  __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
  return (void*)(waitv(list, 3, NULL, 0) + (long)argument);
}

static void* waits_twice_on_one(void* argument) {
  struct alternative list[] = {on(&words[0], 0, kPrivate), on(&words[1], 0, kPrivate),
                               on(&words[1], 0, kPrivate)};
  __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
  return (void*)(waitv(list, 3, NULL, 0) + (long)argument);
}

static void* waits_on_shared(void* argument) {
  struct alternative list[] = {on(shared, 0, kSize32), on(&words[4], 0, kPrivate)};
  __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
  return (void*)(waitv(list, 2, NULL, 0) + (long)argument);
}

static void* waits_on_one(void* argument) {
  __atomic_store_n(&tid, gettid(), __ATOMIC_SEQ_CST);
  return (void*)syscall(kWait, &words[5], 0, (unsigned long)argument, kPrivate, NULL, 0);
}

static void check_alternatives(void) {
  for (int i = 0; i < 3; ++i) {
    pthread_t thread = start_thread(waits_on_three, NULL);
    settle_blocked(&tid);
    CHECK_EQ(0, futex(&words[3], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    CHECK_EQ(1, futex(&words[i], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    CHECK_EQ(i, (long)join_thread(thread));
    for (int k = 0; k < 3; ++k) CHECK_EQ(0, futex(&words[k], FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0));
  }
  pass("woken on each of three words");

  // A waker counts each place of a word, and the last place is the result.
  pthread_t twice = start_thread(waits_twice_on_one, NULL);
  settle_blocked(&tid);
  CHECK_EQ(2, futex(&words[1], FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0));
  CHECK_EQ(2, (long)join_thread(twice));
  twice = start_thread(waits_twice_on_one, NULL);
  settle_blocked(&tid);
  const uint32_t if_zero = FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_EQ, 0);
  CHECK_EQ(2, futex(&words[0], FUTEX_WAKE_OP_PRIVATE, 9, (void*)1, &words[1], if_zero));
  CHECK_EQ(1, (long)join_thread(twice));
  pass("two places of one word");

  // All of 128, and one too many.
  struct alternative many[129];
  for (int i = 0; i < 129; ++i) many[i] = on(&words[i], 0, kPrivate);
  struct timespec soon = after_ns(CLOCK_MONOTONIC, MS(20));
  CHECK_ERRNO(ETIMEDOUT, waitv(many, 128, &soon, CLOCK_MONOTONIC));
  CHECK(mono_ns() >= to_ns(soon));
  soon = after_ns(CLOCK_REALTIME, MS(20));
  CHECK_ERRNO(ETIMEDOUT, waitv(many, 1, &soon, CLOCK_REALTIME));
  CHECK_ERRNO(EINVAL, waitv(many, 129, NULL, 0));
  CHECK_ERRNO(EINVAL, waitv(many, 0, NULL, 0));
  CHECK_ERRNO(EINVAL, waitv(NULL, 1, NULL, 0));
  CHECK_ERRNO(EFAULT, waitv((void*)8, 1, NULL, 0));
  CHECK_ERRNO(EINVAL, syscall(kWaitv, many, 1, 1, NULL, 0));
  CHECK_ERRNO(EINVAL, waitv(many, 1, &soon, CLOCK_BOOTTIME));
  soon.tv_nsec = -1;
  CHECK_ERRNO(EINVAL, waitv(many, 1, &soon, CLOCK_MONOTONIC));
  CHECK_ERRNO(EFAULT, waitv(many, 1, (void*)8, CLOCK_MONOTONIC));
  many[127].value = 1;
  CHECK_ERRNO(EAGAIN, waitv(many, 128, NULL, 0));
  many[1].address = 8;
  CHECK_ERRNO(EFAULT, waitv(many, 2, NULL, 0));
  many[1].address = (uintptr_t)words + 1;
  CHECK_ERRNO(EINVAL, waitv(many, 2, NULL, 0));
  many[0].flags = 128;  // bytes
  CHECK_ERRNO(EINVAL, waitv(many, 1, NULL, 0));
  many[0].flags = kPrivate | 0x100;
  CHECK_ERRNO(EINVAL, waitv(many, 1, NULL, 0));
  many[0] = on(&words[0], 0, kPrivate);
  many[0].reserved = 1;
  CHECK_ERRNO(EINVAL, waitv(many, 1, NULL, 0));
  many[0] = on(&words[0], (uint64_t)1 << 32, kPrivate);
  CHECK_ERRNO(EINVAL, waitv(many, 1, NULL, 0));
  pass("limits and errors of waiting on many");

  // Another process on the other side of one word, this one on that of the other.
  pthread_t thread = start_thread(waits_on_shared, NULL);
  settle_blocked(&tid);
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    while (futex(shared, FUTEX_WAKE, 1, NULL, NULL, 0) == 0) settle();
    _exit(0);
  }
  CHECK_EQ(0, (long)join_thread(thread));
  CHECK_EXITED(0, child);
  thread = start_thread(waits_on_shared, NULL);
  settle_blocked(&tid);
  while (futex(&words[4], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 0) settle();
  CHECK_EQ(1, (long)join_thread(thread));
  pass("words shared with another process");
}

static void check_single(void) {
  pthread_t a = start_thread(waits_on_one, (void*)1);
  settle_blocked(&tid);
  pthread_t b = start_thread(waits_on_one, (void*)2);
  settle_blocked(&tid);
  CHECK_EQ(0, syscall(kWake, &words[5], 4UL, 10, kPrivate));
  CHECK_EQ(0, syscall(kWake, &words[5], kAll, 0, kPrivate));
  CHECK_EQ(1, syscall(kWake, &words[5], 2UL, 10, kPrivate));
  CHECK_EQ(0, (long)join_thread(b));
  CHECK_EQ(1, syscall(kWake, &words[5], kAll, -1, kPrivate));  // counted after it has woken one
  CHECK_EQ(0, (long)join_thread(a));
  pass("wait and wake by bits");

  struct timespec soon = after_ns(CLOCK_MONOTONIC, MS(20));
  CHECK_ERRNO(ETIMEDOUT, syscall(kWait, &words[5], 0, kAll, kPrivate, &soon, CLOCK_MONOTONIC));
  CHECK(mono_ns() >= to_ns(soon));
  CHECK_ERRNO(EAGAIN, syscall(kWait, &words[5], 1, kAll, kPrivate, NULL, 0));
  CHECK_ERRNO(EINVAL, syscall(kWait, &words[5], 0, 0, kPrivate, NULL, 0));
  CHECK_ERRNO(EINVAL, syscall(kWait, &words[5], 1UL << 32, kAll, kPrivate, NULL, 0));
  CHECK_ERRNO(EINVAL, syscall(kWait, &words[5], 0, kAll, 128, NULL, 0));
  CHECK_ERRNO(EINVAL, syscall(kWait, &words[5], 0, kAll, kPrivate, &soon, CLOCK_BOOTTIME));
  CHECK_ERRNO(EFAULT, syscall(kWait, (void*)8, 0, kAll, kPrivate, NULL, 0));
  CHECK_ERRNO(EINVAL, syscall(kWait, (char*)words + 1, 0, kAll, kPrivate, NULL, 0));
  CHECK_ERRNO(EINVAL, syscall(kWake, &words[5], 0UL, 1, kPrivate));
  CHECK_ERRNO(EINVAL, syscall(kWake, &words[5], kAll, 1, 0x1000));
  CHECK_ERRNO(EINVAL, syscall(kWake, (char*)words + 1, kAll, 1, kPrivate));
  pass("errors of wait and wake");

  pthread_t threads[4];
  for (int i = 0; i < 4; ++i) {
    threads[i] = start_thread(waits_on_one, (void*)kAll);
    settle_blocked(&tid);
  }
  struct alternative pair[] = {on(&words[5], 1, kPrivate), on(&words[6], 0, kPrivate)};
  CHECK_ERRNO(EAGAIN, syscall(kRequeue, pair, 0, 1, 1));
  pair[0].value = 0;
  CHECK_ERRNO(EINVAL, syscall(kRequeue, pair, 1, 1, 1));
  CHECK_ERRNO(EINVAL, syscall(kRequeue, NULL, 0, 1, 1));
  CHECK_ERRNO(EINVAL, syscall(kRequeue, pair, 0, -1, 1));
  CHECK_EQ(3, syscall(kRequeue, pair, 0, 1, 2));
  CHECK_EQ(1, syscall(kWake, &words[5], kAll, -1, kPrivate));  // counted after it has woken one
  CHECK_EQ(2, syscall(kWake, &words[6], kAll, 10, kPrivate));
  for (int i = 0; i < 4; ++i) CHECK_EQ(0, (long)join_thread(threads[i]));
  pass("requeue");
}

int main(void) {
  shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(shared != MAP_FAILED);
  be_threaded();
  const int has_waitv = waitv(NULL, 0, NULL, 0) == -1 && errno != ENOSYS;
  const int has_single = syscall(kWake, &words[0], kAll, 1, kPrivate) == 0;
  if (has_waitv) {
    check_alternatives();
  } else {
    pass("woken on each of three words");
    pass("two places of one word");
    pass("limits and errors of waiting on many");
    pass("words shared with another process");
  }
  if (has_single) {
    check_single();
  } else {
    pass("wait and wake by bits");
    pass("errors of wait and wake");
    pass("requeue");
  }
  return 0;
}
