// A process that has had threads, and has one again, restricts itself by Landlock: its children and
// the threads that it makes afterwards are in the same domain, so that these may look at those.
#include <linux/landlock.h>
#include <sys/prctl.h>

#include "check.h"

enum { kThreads = 8 };

static char name[64];

static void* computes(void* argument) {
  const int64_t end = mono_ns() + MS(50);
  while (mono_ns() < end) sched_yield();
  return argument;
}

static void* looks(void* argument) {
  const int64_t end = mono_ns() + MS(50);
  while (mono_ns() < end) {
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    CHECK_OK(fd);
    CHECK_OK(close(fd));
  }
  return argument;
}

static void run(void* (*body)(void*)) {
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(body, NULL);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
}

// False where there is no Landlock.
static int restrict_self(void) {
  struct landlock_ruleset_attr attributes = {.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_BLOCK};
  int rules = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
  if (rules == -1) return 0;
  CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  CHECK_OK(syscall(SYS_landlock_restrict_self, rules, 0));
  CHECK_OK(close(rules));
  return 1;
}

int main(void) {
  run(computes);
  if (restrict_self()) {
    pid_t child = fork();
    CHECK_OK(child);
    if (child == 0) {
      for (;;) pause();
    }
    snprintf(name, sizeof name, "/proc/%d/environ", (int)child);
    run(looks);
    CHECK_OK(kill(child, SIGKILL));
    CHECK_KILLED(SIGKILL, child);
  }
  pass("one domain");
  return 0;
}
