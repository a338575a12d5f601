// A write to a pipe that nobody reads runs the handler of SIGPIPE before it returns, once, on the
// thread that writes; other threads compute meanwhile.
#include "check.h"

enum { kWriters = 3, kComputing = 2, kWrites = 4000 };

static __thread int handled;
static int done;

static void on_pipe(int number) {
  (void)number;
  ++handled;
}

static void* writes(void* argument) {
  int ends[2];
  CHECK_OK(pipe(ends));
  CHECK_OK(close(ends[0]));
  for (int i = 0; i < kWrites; ++i) {
    CHECK_ERRNO(EPIPE, write(ends[1], "x", 1));
    CHECK_EQ(i + 1, handled);
  }
  CHECK_OK(close(ends[1]));
  return argument;
}

static void* computes(void* argument) {
  while (!__atomic_load_n(&done, __ATOMIC_RELAXED)) continue;
  return argument;
}

int main(void) {
  const struct sigaction action = {.sa_handler = on_pipe};
  CHECK_OK(sigaction(SIGPIPE, &action, NULL));
  pthread_t computing[kComputing], writing[kWriters];
  for (int i = 0; i < kComputing; ++i) computing[i] = start_thread(computes, NULL);
  for (int i = 0; i < kWriters; ++i) writing[i] = start_thread(writes, NULL);
  for (int i = 0; i < kWriters; ++i) join_thread(writing[i]);
  __atomic_store_n(&done, 1, __ATOMIC_RELAXED);
  for (int i = 0; i < kComputing; ++i) join_thread(computing[i]);
  pass("the handler of SIGPIPE before write returns");
  return 0;
}
