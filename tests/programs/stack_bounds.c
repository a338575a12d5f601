// pthread_getattr_np reports the stack that a thread is on: it contains the thread's locals, has
// the size that was asked for, and overlaps no other stack.
#include <stddef.h>
#include <sys/mman.h>

#include "check.h"

enum { kThreads = 30, kSmall = 256 * 1024 };

struct bounds {
  char *low, *high;
  size_t guard;
};

static pthread_barrier_t barrier;

static struct bounds own_bounds(void) {
  pthread_attr_t attr;
  void* low;
  size_t size;
  struct bounds b;
  CHECK_RC(pthread_getattr_np(pthread_self(), &attr));
  CHECK_RC(pthread_attr_getstack(&attr, &low, &size));
  CHECK_RC(pthread_attr_getguardsize(&attr, &b.guard));
  CHECK_RC(pthread_attr_destroy(&attr));
  b.low = low;
  b.high = b.low + size;
  return b;
}

static void* body(void* argument) {
  struct bounds* result = argument;
  char local;
  *result = own_bounds();
  CHECK(&local >= result->low && &local < result->high);
  pthread_barrier_wait(&barrier);
  struct bounds again = own_bounds();
  CHECK(again.low == result->low && again.high == result->high);
  return NULL;
}

static struct bounds run_one(const pthread_attr_t* attr) {
  struct bounds result;
  pthread_t thread;
  CHECK_RC(pthread_barrier_init(&barrier, NULL, 1));
  CHECK_RC(pthread_create(&thread, attr, body, &result));
  join_thread(thread);
  return result;
}

int main(void) {
  char local;
  struct bounds of_main = own_bounds();
  CHECK(&local >= of_main.low && &local < of_main.high);
  be_threaded();
  struct bounds again = own_bounds();
  CHECK(&local >= again.low && &local < again.high);
  CHECK(again.high == of_main.high);
  pass("main thread");

  static struct bounds all[kThreads];
  pthread_t threads[kThreads];
  CHECK_RC(pthread_barrier_init(&barrier, NULL, kThreads));
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(body, &all[i]);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  for (int i = 0; i < kThreads; ++i) {
    for (int k = 0; k < i; ++k) CHECK(all[i].high <= all[k].low || all[k].high <= all[i].low);
  }
  pass("stacks that live at the same time do not overlap");

  pthread_attr_t attr;
  size_t size;
  CHECK_RC(pthread_attr_init(&attr));
  CHECK_RC(pthread_attr_getstacksize(&attr, &size));
  struct bounds b = run_one(NULL);
  CHECK(b.high - b.low >= (ptrdiff_t)(size - 64 * 1024) && b.high - b.low <= (ptrdiff_t)size);
  CHECK_RC(pthread_attr_setstacksize(&attr, kSmall));
  CHECK_RC(pthread_attr_setguardsize(&attr, 16384));
  b = run_one(&attr);
  CHECK(b.high - b.low > kSmall - 32 * 1024 && b.high - b.low <= kSmall);
  CHECK_EQ(16384, b.guard);
  CHECK_EQ(EINVAL, pthread_attr_setstacksize(&attr, 1024));
  pass("sizes as asked");

  char* memory = mmap(NULL, kSmall, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  CHECK_RC(pthread_attr_setstack(&attr, memory, kSmall));
  b = run_one(&attr);
  CHECK(b.low == memory && b.high == memory + kSmall);
  CHECK_EQ(0, memory[0]);
  pass("a stack of the program's own");
  return 0;
}
