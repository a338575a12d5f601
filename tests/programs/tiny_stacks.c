// Threads on stacks that the program supplies: as small as the system allows plus a page, and of
// 64 KB with signal handlers; and the smallest, with two handlers of which one interrupts the
// other. Nothing is written below or above them.
#include <linux/futex.h>
#include <sys/mman.h>

#include "check.h"

enum { kThreads = 20, kCanary = 0x5a };

static int ends[2], quiet[2];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int go;
static volatile sig_atomic_t handled;

static void on_signal(int number) {
  (void)number;
  __atomic_add_fetch(&handled, 1, __ATOMIC_SEQ_CST);
}

static void* blocks_in_many_ways(void* argument) {
  char c = 0;
  if (read(ends[0], &c, 1) != 1) return (void*)1;
  struct timespec t = {0, 100000};
  if (nanosleep(&t, NULL) != 0) return (void*)2;
  struct timespec past = {1, 0};
  pthread_mutex_lock(&mutex);
  int rc = pthread_cond_timedwait(&cond, &mutex, &past);
  // On a busy machine the broadcast may come before the wait has looked at its time.
  if (rc != ETIMEDOUT && !(rc == 0 && go)) return (void*)3;
  while (!go) pthread_cond_wait(&cond, &mutex);
  pthread_mutex_unlock(&mutex);
  struct pollfd p = {quiet[0], POLLIN, 0};
  if (poll(&p, 1, 1) != 0) return (void*)4;
  void* memory = malloc(1000);
  sched_yield();
  free(memory);
  return argument;
}

static void* is_signalled(void* argument) {
  int before = handled;
  if (pthread_kill(pthread_self(), SIGUSR1) != 0) return (void*)1;
  if (handled == before) return (void*)2;
  return blocks_in_many_ways(argument);
}

static void make_a_call(int number) {
  static int nobody_waits_here;
  syscall(SYS_futex, &nobody_waits_here, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  on_signal(number);
}

// Both are pending when the mask opens, so the second handler runs within the first.
static void* is_signalled_twice(void* argument) {
  sigset_t both;
  sigemptyset(&both);
  sigaddset(&both, SIGUSR1);
  sigaddset(&both, SIGUSR2);
  if (pthread_sigmask(SIG_BLOCK, &both, NULL) != 0) return (void*)1;
  if (pthread_kill(pthread_self(), SIGUSR1) != 0) return (void*)2;
  if (pthread_kill(pthread_self(), SIGUSR2) != 0) return (void*)3;
  if (pthread_sigmask(SIG_UNBLOCK, &both, NULL) != 0) return (void*)4;
  char c;
  return read(ends[0], &c, 1) == 1 ? argument : (void*)5;
}

static void run(void* (*body)(void*), size_t size, size_t offset) {
  size_t page = 4096, whole = size + 2 * page;
  char* memories[kThreads];
  pthread_t threads[kThreads];
  pthread_attr_t attr;
  CHECK_RC(pthread_attr_init(&attr));
  for (int i = 0; i < kThreads; ++i) {
    char* memory = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    memset(memory, kCanary, page);
    memset(memory + page + size, kCanary, page);
    memories[i] = memory;
    CHECK_RC(pthread_attr_setstack(&attr, memory + page + offset, size - offset));
    CHECK_RC(pthread_create(&threads[i], &attr, body, NULL));
  }
  settle();
  for (int i = 0; i < kThreads; ++i) CHECK_EQ(1, write(ends[1], "x", 1));
  settle();
  CHECK_RC(pthread_mutex_lock(&mutex));
  go = 1;
  CHECK_RC(pthread_cond_broadcast(&cond));
  CHECK_RC(pthread_mutex_unlock(&mutex));
  for (int i = 0; i < kThreads; ++i) {
    CHECK_EQ(0, (intptr_t)join_thread(threads[i]));
    for (size_t k = 0; k < page; ++k) {
      CHECK_EQ(kCanary, memories[i][k]);
      CHECK_EQ(kCanary, memories[i][page + size + k]);
    }
    CHECK_OK(munmap(memories[i], whole));
  }
  go = 0;
}

int main(void) {
  CHECK_OK(pipe(ends));
  CHECK_OK(pipe(quiet));
  struct sigaction action = {.sa_handler = on_signal};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));

  size_t smallest = ((size_t)PTHREAD_STACK_MIN + 4095) & ~(size_t)4095;
  run(blocks_in_many_ways, smallest + 4096, 0);
  pass("the smallest stack and a page");
  run(blocks_in_many_ways, 64 * 1024, 0);
  pass("64 KB");
  run(is_signalled, 64 * 1024, 0);
  CHECK_EQ(kThreads, handled);
  pass("64 KB with a signal handler");
  run(blocks_in_many_ways, 64 * 1024, 48);
  pass("64 KB, not aligned to a page");
  action.sa_handler = make_a_call;
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  CHECK_OK(sigaction(SIGUSR2, &action, NULL));
  handled = 0;
  run(is_signalled_twice, smallest, 0);
  CHECK_EQ(2 * kThreads, handled);
  pass("the smallest stack with two signal handlers");
  return 0;
}
