// Tracers that are threads, other than the first and several at once: children that ask to be
// traced, processes that are attached to and seized; stops are waited for with __WALL. Between a
// request and the next the threads wait and yield, so that they would not stay where they are.
#include <sys/ptrace.h>
#include <sys/user.h>

#include "check.h"

enum { kTracers = 4, kSyscalls = 20 };

// Is there all the time: memory of the tracees is looked at under this address.
static volatile long looked_at = 4711;

static int has_stopped(pid_t pid) {
  int status;
  pid_t came;
  do {
    came = waitpid(pid, &status, __WALL);
  } while (came == -1 && errno == EINTR);
  CHECK_EQ(pid, came);
  if (!WIFSTOPPED(status)) FAIL("wait status %#x", status);
  return WSTOPSIG(status);
}

static void has_exited(pid_t pid, int code) {
  int status;
  CHECK_EQ(pid, waitpid(pid, &status, __WALL));
  CHECK(WIFEXITED(status));
  CHECK_EQ(code, WEXITSTATUS(status));
}

static void move_about(int i) {
  if (i % 3 == 0) settle();
  for (int k = 0; k < 3; ++k) sched_yield();
}

// As strace does it: counts the calls of getppid that the child makes.
static void* traces_own_child(void* argument) {
  const int index = *(int*)argument;
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) _exit(1);
    raise(SIGSTOP);
    looked_at = index;
    for (int i = 0; i < kSyscalls; ++i) syscall(SYS_getppid);
    _exit(40 + index);
  }
  move_about(index);
  CHECK_EQ(SIGSTOP, has_stopped(child));
  move_about(0);
  CHECK_OK(ptrace(PTRACE_SETOPTIONS, child, NULL, (void*)(long)PTRACE_O_TRACESYSGOOD));
  int entries = 0;
  for (int i = 0;; ++i) {
    move_about(i);
    CHECK_OK(ptrace(PTRACE_SYSCALL, child, NULL, NULL));
    move_about(1);
    const int stop = has_stopped(child);
    if (stop != (SIGTRAP | 0x80)) FAIL("stop signal %d", stop);
    struct user_regs_struct registers;
    CHECK_OK(ptrace(PTRACE_GETREGS, child, NULL, &registers));
    if (registers.orig_rax == SYS_exit_group) break;
    if (registers.orig_rax == SYS_getppid) ++entries;
  }
  CHECK_EQ(2 * kSyscalls, entries);  // into the call, and out of it
  errno = 0;
  CHECK_EQ(index, ptrace(PTRACE_PEEKDATA, child, (void*)&looked_at, NULL));
  CHECK_EQ(0, errno);
  move_about(0);
  CHECK_OK(ptrace(PTRACE_CONT, child, NULL, NULL));
  has_exited(child, 40 + index);
  return NULL;
}

// A process that waits until its word is changed.
static pid_t make_waiting(void) {
  pid_t child = fork();
  CHECK_OK(child);
  if (child != 0) return child;
  while (looked_at != 0) {
    struct timespec t = {0, 1000000};
    nanosleep(&t, NULL);
  }
  _exit(7);
}

static void release_by_poke(pid_t child) {
  errno = 0;
  CHECK_EQ(4711, ptrace(PTRACE_PEEKDATA, child, (void*)&looked_at, NULL));
  CHECK_EQ(0, errno);
  move_about(1);
  CHECK_OK(ptrace(PTRACE_POKEDATA, child, (void*)&looked_at, NULL));
  CHECK_OK(ptrace(PTRACE_DETACH, child, NULL, NULL));
  has_exited(child, 7);
}

static void* attaches(void* argument) {
  pid_t child = make_waiting();
  move_about(0);
  CHECK_OK(ptrace(PTRACE_ATTACH, child, NULL, NULL));
  move_about(0);
  CHECK_EQ(SIGSTOP, has_stopped(child));
  move_about(0);
  release_by_poke(child);
  return argument;
}

static void* seizes(void* argument) {
  pid_t child = make_waiting();
  move_about(0);
  CHECK_OK(ptrace(PTRACE_SEIZE, child, NULL, NULL));
  move_about(0);
  CHECK_OK(ptrace(PTRACE_INTERRUPT, child, NULL, NULL));
  CHECK_EQ(SIGTRAP, has_stopped(child));
  move_about(0);
  release_by_poke(child);
  return argument;
}

// What a thread has attached to runs on when the thread ends.
static void* attaches_and_ends(void* argument) {
  pid_t child = *(pid_t*)argument;
  CHECK_OK(ptrace(PTRACE_ATTACH, child, NULL, NULL));
  CHECK_EQ(SIGSTOP, has_stopped(child));
  return NULL;
}

static void* bad_requests(void* argument) {
  CHECK_ERRNO(EPERM, ptrace(PTRACE_ATTACH, getpid(), NULL, NULL));
  CHECK_ERRNO(EPERM, ptrace(PTRACE_ATTACH, gettid(), NULL, NULL));
  CHECK_ERRNO(ESRCH, ptrace(PTRACE_CONT, getpid(), NULL, NULL));
  CHECK_ERRNO(ESRCH, ptrace(PTRACE_CONT, gettid(), NULL, NULL));
  CHECK_ERRNO(ESRCH, ptrace(PTRACE_CONT, getppid(), NULL, NULL));
  CHECK_ERRNO(ESRCH, ptrace(PTRACE_ATTACH, -1, NULL, NULL));
  pid_t child = make_waiting();
  CHECK_ERRNO(ESRCH, ptrace(PTRACE_DETACH, child, NULL, NULL));
  CHECK_OK(ptrace(PTRACE_SEIZE, child, NULL, NULL));
  CHECK_ERRNO(ESRCH, ptrace(PTRACE_PEEKDATA, child, (void*)&looked_at, NULL));  // it runs
  CHECK_ERRNO(EPERM, ptrace(PTRACE_SEIZE, child, NULL, NULL));
  CHECK_OK(kill(child, SIGKILL));
  CHECK_KILLED(SIGKILL, child);
  return argument;
}

static void run_several(void* (*body)(void*)) {
  pthread_t threads[kTracers];
  int indices[kTracers];
  for (int i = 0; i < kTracers; ++i) {
    indices[i] = i;
    threads[i] = start_thread(body, &indices[i]);
  }
  for (int i = 0; i < kTracers; ++i) join_thread(threads[i]);
}

int main(void) {
  be_threaded();
  run_several(traces_own_child);
  pass("children that ask to be traced");
  run_several(attaches);
  pass("processes that are attached to");
  run_several(seizes);
  pass("processes that are seized");

  pid_t child = make_waiting();
  join_thread(start_thread(attaches_and_ends, &child));
  CHECK_OK(ptrace(PTRACE_ATTACH, child, NULL, NULL));  // by another, now that nobody has
  CHECK_EQ(SIGSTOP, has_stopped(child));
  release_by_poke(child);
  pass("a tracer that ends");

  run_several(bad_requests);
  pass("errors");
  return 0;
}
