// FUTEX_WAIT and FUTEX_WAKE by the raw system call: value mismatch, counts, timeouts, EINTR, and
// words shared with another process.
#include "futex.h"

#include <sys/mman.h>

#include "check.h"

static uint32_t word;
static uint32_t* shared;
static int returned;
static volatile sig_atomic_t handled;

static void on_signal(int number) {
  (void)number;
  ++handled;
}

static void* waits(void* argument) {
  struct timespec limit = from_ns(MS(kBoundMs));
  CHECK_EQ(0, futex(&word, FUTEX_WAIT_PRIVATE, 7, &limit, NULL, 0));
  __atomic_add_fetch(&returned, 1, __ATOMIC_SEQ_CST);
  return argument;
}

// Wakes, `step` at a time, until `n` waiters were woken in all.
static void wake_all(uint32_t* where, int op, int step, int n) {
  int woken = 0;
  for (int64_t begin = mono_ns(); woken < n;) {
    int most = step < n - woken ? step : n - woken;
    long now = futex(where, op, (uint32_t)most, NULL, NULL, 0);
    CHECK(now >= 0 && now <= most);
    woken += (int)now;
    CHECK(mono_ns() - begin < MS(kBoundMs));
    if (now == 0) usleep(500);
  }
  CHECK_EQ(n, woken);
}

static void* is_interrupted(void* argument) {
  while (futex(&word, FUTEX_WAIT_PRIVATE, 7, NULL, NULL, 0) == 0) {
  }
  CHECK_EQ(EINTR, errno);
  __atomic_store_n(&returned, 1, __ATOMIC_SEQ_CST);
  return argument;
}

int main(void) {
  word = 7;
  pthread_t threads[10];
  CHECK_EQ(0, futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
  CHECK_ERRNO(EAGAIN, futex(&word, FUTEX_WAIT_PRIVATE, 8, NULL, NULL, 0));
  CHECK_ERRNO(EAGAIN, futex(&word, FUTEX_WAIT, 6, NULL, NULL, 0));
  pass("EAGAIN on a value mismatch");

  for (int i = 0; i < 10; ++i) threads[i] = start_thread(waits, NULL);
  wake_all(&word, FUTEX_WAKE_PRIVATE, 1, 3);
  wake_all(&word, FUTEX_WAKE_PRIVATE, 2, 4);
  wake_all(&word, FUTEX_WAKE_PRIVATE, INT_MAX, 3);
  for (int i = 0; i < 10; ++i) join_thread(threads[i]);
  CHECK_EQ(10, returned);
  CHECK_EQ(0, futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
  pass("wake tells how many it woke");

  for (int64_t ns = 1; ns < MS(50); ns *= 40) {
    struct timespec t = from_ns(ns);
    int64_t begin = mono_ns();
    CHECK_ERRNO(ETIMEDOUT, futex(&word, FUTEX_WAIT_PRIVATE, 7, &t, NULL, 0));
    CHECK_BETWEEN(ns, mono_ns() - begin, MS(5000));
    CHECK_EQ(ns, to_ns(t));
  }
  struct timespec zero = {0, 0};
  CHECK_ERRNO(ETIMEDOUT, futex(&word, FUTEX_WAIT_PRIVATE, 7, &zero, NULL, 0));
  CHECK_ERRNO(EAGAIN, futex(&word, FUTEX_WAIT_PRIVATE, 8, &zero, NULL, 0));
  pass("relative timeouts");

  struct sigaction action = {.sa_handler = on_signal};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  returned = 0;
  pthread_t thread = start_thread(is_interrupted, NULL);
  for (int i = 0; !__atomic_load_n(&returned, __ATOMIC_SEQ_CST); ++i) {
    CHECK_RC(pthread_kill(thread, SIGUSR1));
    CHECK(i < kBoundMs);
    usleep(1000);
  }
  join_thread(thread);
  CHECK(handled > 0);
  pass("EINTR");

  shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(shared != MAP_FAILED);
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    struct timespec limit = from_ns(MS(kBoundMs));
    _exit(futex(&shared[0], FUTEX_WAIT, 0, &limit, NULL, 0) == 0 ? 11 : 1);
  }
  wake_all(&shared[0], FUTEX_WAKE, 1, 1);
  CHECK_EXITED(11, child);
  child = fork();
  CHECK_OK(child);
  if (child == 0) {
    wake_all(&shared[1], FUTEX_WAKE, 1, 1);
    _exit(12);
  }
  struct timespec limit = from_ns(MS(kBoundMs));
  CHECK_EQ(0, futex(&shared[1], FUTEX_WAIT, 0, &limit, NULL, 0));
  CHECK_EXITED(12, child);
  pass("a word shared with another process");
  return 0;
}
