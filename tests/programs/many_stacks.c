// Thousands of threads at once, with stacks of several sizes and guards, again and again: stacks
// are whole, begin zeroed where new, and end in a guard.
#include <sys/mman.h>
#include <sys/resource.h>

#include "check.h"

// More than the runtime keeps the stacks of.
enum { kThreads = 1200, kRounds = 2 };

static sem_t arrived, go;
static _Atomic int wrong;

struct bounds {
  char* low;
  size_t size, guard;
};

static pthread_key_t key;
static __thread int own;

static void* uses_stack(void* argument) {
  struct bounds* bounds = argument;
  // Nothing of a thread that had the stack before.
  if (own != 0 || pthread_getspecific(key) != NULL) ++wrong;
  own = 1;
  CHECK_RC(pthread_setspecific(key, argument));
  pthread_attr_t attributes;
  CHECK_RC(pthread_getattr_np(pthread_self(), &attributes));
  void* low;
  CHECK_RC(pthread_attr_getstack(&attributes, &low, &bounds->size));
  CHECK_RC(pthread_attr_getguardsize(&attributes, &bounds->guard));
  CHECK_RC(pthread_attr_destroy(&attributes));
  bounds->low = low;
  char here;
  if (&here < bounds->low || &here >= bounds->low + bounds->size) ++wrong;
  // The lowest page of it can be written.
  volatile char* bottom = bounds->low;
  if (bounds->size <= 256 * 1024) {
    if (*bottom != 0) ++wrong;
    *bottom = 1;
    *bottom = 0;
  }
  sem_post(&arrived);
  sem_take(&go);
  return argument;
}

static void many(size_t stack, size_t guard) {
  static pthread_t threads[kThreads];
  static struct bounds bounds[kThreads];
  pthread_attr_t attributes;
  CHECK_RC(pthread_attr_init(&attributes));
  if (stack != 0) CHECK_RC(pthread_attr_setstacksize(&attributes, stack));
  CHECK_RC(pthread_attr_setguardsize(&attributes, guard));
  for (int i = 0; i < kThreads; ++i) {
    CHECK_RC(pthread_create(&threads[i], &attributes, uses_stack, &bounds[i]));
  }
  CHECK_RC(pthread_attr_destroy(&attributes));
  for (int i = 0; i < kThreads; ++i) sem_take(&arrived);
  for (int i = 0; i < kThreads; ++i) CHECK(sem_post(&go) == 0);
  for (int i = 0; i < kThreads; ++i) CHECK(join_thread(threads[i]) == &bounds[i]);
  CHECK_EQ(0, wrong);
}

// What a program maps for a stack of its own is zeroed, whoever had the memory before.
static void maps_a_stack(size_t size) {
  char* low = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  CHECK(low != MAP_FAILED);
  CHECK_OK(mprotect(low, size, PROT_READ | PROT_WRITE));
  for (size_t i = 0; i < size; ++i) CHECK_EQ(0, low[i]);
  memset(low, 1, size);
  CHECK_OK(munmap(low, size));
}

// A child's thread runs over the end of a stack of the many.
static volatile int never;
static int overflow(int depth) {
  volatile char frame[512];
  frame[0] = (char)depth;
  return never != 0 ? 0 : overflow(depth + 1) + frame[0];
}

static void* waits(void* argument) {
  sem_take(&go);
  return argument;
}

static void* overflows(void* argument) {
  overflow(0);
  return argument;
}

static pthread_t start_small(void* (*body)(void*)) {
  pthread_attr_t attributes;
  pthread_t thread;
  CHECK_RC(pthread_attr_init(&attributes));
  CHECK_RC(pthread_attr_setstacksize(&attributes, 128 * 1024));
  CHECK_RC(pthread_create(&thread, &attributes, body, NULL));
  return thread;
}

static void dies_of_overflow(void) {
  const pid_t child = fork();
  if (child == 0) {
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    if (freopen("/dev/null", "w", stderr) == NULL) _exit(1);
    for (int i = 0; i < 300; ++i) start_small(waits);
    pthread_join(start_small(overflows), NULL);
    _exit(0);
  }
  CHECK_KILLED(SIGSEGV, child);
}

int main(void) {
  CHECK_OK(sem_init(&arrived, 0, 0));
  CHECK_OK(sem_init(&go, 0, 0));
  CHECK_RC(pthread_key_create(&key, NULL));
  for (int round = 0; round < kRounds; ++round) many(128 * 1024, 4096);
  pass("small stacks");
  many(256 * 1024, 16384);
  many(128 * 1024, 8192);
  many(128 * 1024, 4096);
  pass("other guards");
  many(64 * 1024, 0);
  many(64 * 1024, 4096);
  pass("no guards, then guards");
  many(0, 4096);
  pass("stacks of the usual size");
  for (int i = 0; i < 8; ++i) maps_a_stack(128 * 1024);
  many(128 * 1024, 4096);
  maps_a_stack(128 * 1024);
  pass("stacks that are no thread's");
  dies_of_overflow();
  pass("an overflow is a fault");
  const pid_t child = fork();
  if (child == 0) {
    many(128 * 1024, 4096);
    _exit(7);
  }
  CHECK_EXITED(7, child);
  many(128 * 1024, 4096);
  pass("the same after fork, in parent and child");
  return 0;
}
