// Threads that are woken again and again beside more threads that compute than there are
// processors: they do not wait until who computes has had enough. Counted, not timed: while so much
// is computed, each wakes so often. Whoever had to wait for the end of time slices of 50 ms, which
// the green runs are given, would come to a third of that; beside such as make system calls all the
// time, to a fifth of what is asked there.
#include <stdatomic.h>

#include "check.h"

enum { kHogs = 4, kHogMs = 250, kCalls = 25000, kLeast = 60, kLeastBesideCalls = 300 };

static atomic_int computing;
static atomic_int ready;

static int64_t cpu_ns(void) { return now_ns(CLOCK_THREAD_CPUTIME_ID); }

static void* hog(void* argument) {
  (void)argument;
  const int64_t end = cpu_ns() + MS(kHogMs);
  while (cpu_ns() < end) {
    for (volatile int i = 0; i < 100000; ++i) {
    }
  }
  atomic_fetch_sub(&computing, 1);
  return NULL;
}

// A signal that is sent to one in the kernel strikes where it comes out. No other calls than those,
// which do not wait.
static void* hog_with_calls(void* argument) {
  (void)argument;
  for (int calls = 0; calls < kCalls; ++calls) {
    getppid();
    for (volatile int i = 0; i < 20000; ++i) {
    }
  }
  atomic_fetch_sub(&computing, 1);
  return NULL;
}

// By a timer.
static void* naps(void* argument) {
  long* count = argument;
  const struct timespec nap = {0, 1000000};
  atomic_fetch_add(&ready, 1);
  while (atomic_load(&computing) > 0) {
    CHECK_OK(nanosleep(&nap, NULL));
    ++*count;
  }
  return NULL;
}

// By another process, through a socket.
static int echo[2];

static void* asks(void* argument) {
  long* count = argument;
  atomic_fetch_add(&ready, 1);
  while (atomic_load(&computing) > 0) {
    char byte = 'x';
    CHECK_EQ(1, write(echo[0], &byte, 1));
    CHECK_EQ(1, read(echo[0], &byte, 1));
    ++*count;
  }
  return NULL;
}

// By a signal of another process.
static pid_t caller;

static void* is_called(void* argument) {
  long* count = argument;
  sigset_t calls;
  sigemptyset(&calls);
  sigaddset(&calls, SIGUSR1);
  atomic_fetch_add(&ready, 1);
  while (atomic_load(&computing) > 0) {
    int signal;
    CHECK_EQ(0, kill(caller, SIGUSR2));
    CHECK_RC(sigwait(&calls, &signal));
    ++*count;
  }
  return NULL;
}

static void nothing(int signal) { (void)signal; }

// With SIGUSR2 blocked but in sigsuspend: no call is missed.
static void call_back(pid_t parent, const sigset_t* before) {
  alarm(2 * kBoundMs / 1000);  // should the parent fail
  for (;;) {
    sigsuspend(before);
    if (kill(parent, SIGUSR1) == -1) _exit(0);
  }
}

static void answer(int fd) {
  char byte;
  while (read(fd, &byte, 1) == 1) {
    if (write(fd, &byte, 1) != 1) break;
  }
  _exit(0);
}

static void run(const char* property, void* (*computes)(void*), long least, void* (*woken)(void*)) {
  static long count;
  pthread_t hogs[kHogs];
  count = 0;
  atomic_store(&computing, kHogs);
  atomic_store(&ready, 0);
  const pthread_t thread = start_thread(woken, &count);
  while (atomic_load(&ready) == 0) sched_yield();
  for (int i = 0; i < kHogs; ++i) hogs[i] = start_thread(computes, NULL);
  for (int i = 0; i < kHogs; ++i) join_thread(hogs[i]);
  join_thread(thread);
  if (count < least) FAIL("%s: %ld times only", property, count);
  pass(property);
}

int main(void) {
  sigset_t calls, before;
  sigemptyset(&calls);
  sigaddset(&calls, SIGUSR1);
  sigaddset(&calls, SIGUSR2);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &calls, &before));
  signal(SIGUSR2, nothing);
  CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, echo));
  const pid_t parent = getpid();
  caller = fork();
  CHECK(caller >= 0);
  if (caller == 0) {
    close(echo[0]);
    close(echo[1]);
    call_back(parent, &before);
  }
  const pid_t answerer = fork();
  CHECK(answerer >= 0);
  if (answerer == 0) {
    close(echo[0]);
    answer(echo[1]);
  }
  close(echo[1]);
  run("by a timer", hog, kLeast, naps);
  run("by a socket", hog, kLeast, asks);
  run("by a signal", hog, kLeast, is_called);
  run("by a socket beside calls", hog_with_calls, kLeastBesideCalls, asks);
  CHECK_OK(kill(caller, SIGKILL));
  CHECK_OK(kill(answerer, SIGKILL));
  CHECK_EQ(caller, waitpid(caller, NULL, 0));
  CHECK_EQ(answerer, waitpid(answerer, NULL, 0));
  return 0;
}
