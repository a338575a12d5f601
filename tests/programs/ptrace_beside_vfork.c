// A tracer's requests, also those that fail, do not wait for another thread that is in vfork. (It
// has a property that is not the others', as a thread of a sandbox may.)
#include <sys/prctl.h>
#include <sys/ptrace.h>

#include "check.h"

enum { kRequests = 20 };

static volatile long word = 4711;
static volatile int begun, done;

static void* waits_in_vfork(void* argument) {
  CHECK_OK(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
  const pid_t child = vfork();
  if (child == 0) {
    begun = 1;
    const struct timespec pause = {0, 1000000};
    for (int i = 0; i < 10000 && !done; ++i) syscall(SYS_nanosleep, &pause, NULL);
    _exit(done ? 0 : 1);
  }
  CHECK_OK(child);
  CHECK_EXITED(0, child);
  return argument;
}

static void* traces(void* argument) {
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) _exit(1);
    raise(SIGSTOP);
    for (;;) pause();
  }
  int status;
  CHECK_EQ(child, waitpid(child, &status, 0));
  CHECK(WIFSTOPPED(status));
  while (!begun) settle();
  for (int i = 0; i < kRequests; ++i) {
    errno = 0;
    CHECK_EQ(4711, ptrace(PTRACE_PEEKDATA, child, (void*)&word, NULL));
    CHECK_EQ(0, errno);
    sched_yield();
  }
  CHECK_OK(ptrace(PTRACE_CONT, child, NULL, NULL));
  CHECK_ERRNO(ESRCH, ptrace(PTRACE_PEEKDATA, child, (void*)&word, NULL));  // it runs
  CHECK_OK(kill(child, SIGKILL));
  CHECK_KILLED(SIGKILL, child);
  done = 1;
  return argument;
}

int main(void) {
  be_threaded();
  pthread_t in_vfork = start_thread(waits_in_vfork, NULL);
  join_thread(start_thread(traces, NULL));
  join_thread(in_vfork);
  pass("requests beside a vfork");
  return 0;
}
