// Threads may use most of their stack, switch at any depth, and come back up with every frame
// intact.
#include "check.h"

enum { kThreads = 4, kFrame = 1024 };

static long descend(int depth, int id, volatile char* above) {
  volatile char frame[kFrame];
  for (int i = 0; i < kFrame; i += 64) frame[i] = (char)(depth + id);
  long sum = 1;
  if (depth % 200 == 0) {
    struct timespec t = {0, 1000};
    CHECK_OK(nanosleep(&t, NULL));
  }
  if (depth > 0) sum += descend(depth - 1, id, frame);
  if (depth % 300 == 0) sched_yield();
  for (int i = 0; i < kFrame; i += 64) CHECK_EQ((char)(depth + id), frame[i]);
  if (above) CHECK_EQ((char)(depth + 1 + id), above[0]);
  return sum;
}

static void* small(void* argument) { return (void*)descend(700, (int)(intptr_t)argument, NULL); }

static void* large(void* argument) { return (void*)descend(5000, (int)(intptr_t)argument, NULL); }

static void run(void* (*body)(void*), size_t stack, long expected) {
  pthread_attr_t attr;
  pthread_t threads[kThreads];
  CHECK_RC(pthread_attr_init(&attr));
  CHECK_RC(pthread_attr_setstacksize(&attr, stack));
  for (intptr_t i = 0; i < kThreads; ++i) {
    CHECK_RC(pthread_create(&threads[i], &attr, body, (void*)(i * 13)));
  }
  for (int i = 0; i < kThreads; ++i) CHECK_EQ(expected, (intptr_t)join_thread(threads[i]));
}

int main(void) {
  run(small, 1 << 20, 701);
  pass("700 KB and more of a 1 MB stack");
  run(large, 8 << 20, 5001);
  pass("5 MB and more of an 8 MB stack");
  pthread_t helper = start_thread(small, (void*)3);
  CHECK_EQ(5001, descend(5000, 1, NULL));
  CHECK_EQ(701, (intptr_t)join_thread(helper));
  pass("5 MB and more of the main stack");
  return 0;
}
