// A vfork child keeps the thread that made it in the kernel until it execs or ends. The others go
// on meanwhile, for as long as that takes, and again when several are kept at once.
#include <stdatomic.h>
#include <sys/wait.h>

#include "check.h"

enum { kHeldMs = 400, kHolders = 3 };

static atomic_int stop, naps, reads;
static int ends[2];

static void* naps_often(void* argument) {
  while (!atomic_load(&stop)) {
    CHECK_OK(usleep(2000));
    atomic_fetch_add(&naps, 1);
  }
  return argument;
}

static void* reads_often(void* argument) {
  char c;
  while (read(ends[0], &c, 1) == 1) atomic_fetch_add(&reads, 1);
  return argument;
}

static void* writes_often(void* argument) {
  while (!atomic_load(&stop)) {
    CHECK_EQ(1, write(ends[1], "c", 1));
    CHECK_OK(usleep(2000));
  }
  CHECK_OK(close(ends[1]));
  return argument;
}

static void* is_held(void* argument) {
  const struct timespec held = {0, kHeldMs * 1000 * 1000};
  const pid_t child = vfork();
  if (child == 0) {
    syscall(SYS_nanosleep, &held, NULL);
    _exit(7);
  }
  CHECK_OK(child);
  CHECK_EXITED(7, child);
  return argument;
}

static void hold(int holders, const char* what) {
  pthread_t threads[kHolders];
  const int naps_before = atomic_load(&naps), reads_before = atomic_load(&reads);
  const int64_t begin = mono_ns();
  for (int i = 0; i < holders; ++i) threads[i] = start_thread(is_held, NULL);
  for (int i = 0; i < holders; ++i) join_thread(threads[i]);
  CHECK(mono_ns() - begin >= MS(kHeldMs));
  // Far fewer than could be: a machine that is busy must not fail this.
  CHECK(atomic_load(&naps) - naps_before >= 20);
  CHECK(atomic_load(&reads) - reads_before >= 20);
  pass(what);
}

// Whoever stood in for the thread that was held goes on when it is back, and goes to sleep last.
static void* computes_then_naps(void* argument) {
  for (int64_t end = mono_ns() + MS(3 * kHeldMs); mono_ns() < end;) {
  }
  for (int i = 0; i < 10; ++i) CHECK_OK(usleep(1000));
  return argument;
}

static void outlast(void) {
  pthread_t held = start_thread(is_held, NULL);
  pthread_t other = start_thread(computes_then_naps, NULL);
  join_thread(held);
  join_thread(other);
  pass("a sleep by who stood in");
}

int main(void) {
  outlast();
  CHECK_OK(pipe(ends));
  pthread_t threads[3] = {start_thread(naps_often, NULL), start_thread(reads_often, NULL),
                          start_thread(writes_often, NULL)};
  hold(1, "one thread held in the kernel");
  hold(kHolders, "several threads held in the kernel");
  atomic_store(&stop, 1);
  for (int i = 0; i < 3; ++i) join_thread(threads[i]);
  return 0;
}
