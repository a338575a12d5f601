// Helpers of the test programs, for C and C++. Plain libc only: no program here may know that
// Tendril exists. A program prints one line for each property that holds (`pass`) and exits 0; the
// first check that fails prints what was expected and what came on stderr and exits 1.
//
// Rules of the programs: every wait is bounded; a lower bound on time is exact, an upper bound is
// generous, because the machine may be busy; `settle` only makes the interesting order likely, no
// verdict depends on it; a thread is started early, since a process with one thread proves little.
#ifndef TENDRIL_TESTS_PROGRAMS_CHECK_H_
#define TENDRIL_TESTS_PROGRAMS_CHECK_H_

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// No wait of a program that behaves takes longer than this; a broken one fails here and not by the
// timeout of the test.
enum { kBoundMs = 30000 };

#define HELPER static inline __attribute__((unused))

HELPER __attribute__((noreturn, format(printf, 3, 4))) void fail_at(const char* file, int line,
                                                                    const char* format, ...) {
  char text[512];
  const char* base = strrchr(file, '/');
  int used = snprintf(text, sizeof text, "%s:%d: ", base ? base + 1 : file, line);
  va_list arguments;
  va_start(arguments, format);
  used += vsnprintf(text + used, sizeof text - (size_t)used - 1, format, arguments);
  va_end(arguments);
  if (used > (int)sizeof text - 2) used = (int)sizeof text - 2;
  text[used] = '\n';
  if (write(2, text, (size_t)used + 1) < 0) _exit(3);
  _exit(1);
}

HELPER void check_eq_at(const char* file, int line, const char* what, long long expected,
                        long long came) {
  if (expected != came) {
    fail_at(file, line, "%s: expected %lld, came %lld (errno %d)", what, expected, came, errno);
  }
}

HELPER void check_str_at(const char* file, int line, const char* what, const char* expected,
                         const char* came) {
  if (!came || strcmp(expected, came) != 0) {
    fail_at(file, line, "%s: expected \"%s\", came \"%s\"", what, expected, came ? came : "(null)");
  }
}

#define FAIL(...) fail_at(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(condition)                                                   \
  do {                                                                     \
    if (!(condition)) FAIL("expected %s, errno is %d", #condition, errno); \
  } while (0)
// CHECK_EQ(expected, came)
#define CHECK_EQ(expected, came) \
  check_eq_at(__FILE__, __LINE__, #came, (long long)(expected), (long long)(came))
#define CHECK_STR(expected, came) check_str_at(__FILE__, __LINE__, #came, expected, came)
// A call that returns 0, or an error number, as the pthread functions do.
#define CHECK_RC(call) CHECK_EQ(0, call)
// A call that returns -1 and sets errno when it fails: it must not fail.
#define CHECK_OK(call)                                                                 \
  do {                                                                                 \
    if ((long long)(call) == -1) {                                                     \
      FAIL("%s: expected success, came errno %d (%s)", #call, errno, strerror(errno)); \
    }                                                                                  \
  } while (0)
// A call that must fail with this errno.
#define CHECK_ERRNO(number, call)                                                               \
  do {                                                                                          \
    errno = 0;                                                                                  \
    long long came_ = (long long)(call);                                                        \
    if (came_ != -1 || errno != (number)) {                                                     \
      FAIL("%s: expected -1 with errno %d (%s), came %lld with errno %d (%s)", #call, (number), \
           strerror(number), came_, errno, strerror(errno));                                    \
    }                                                                                           \
  } while (0)
// Time in nanoseconds: at least `low`, and not absurdly more than `high`.
#define CHECK_BETWEEN(low, came, high)                                                         \
  do {                                                                                         \
    long long came_ = (long long)(came);                                                       \
    if (came_ < (long long)(low) || came_ > (long long)(high)) {                               \
      FAIL("%s: expected %lld to %lld, came %lld", #came, (long long)(low), (long long)(high), \
           came_);                                                                             \
    }                                                                                          \
  } while (0)

// Announces a property that holds. Flushed at once, so that a fork never copies it.
HELPER void pass(const char* property) {
  printf("%s: ok\n", property);
  fflush(stdout);
}

#define MS(n) ((int64_t)(n)*1000000)
#define US(n) ((int64_t)(n)*1000)

HELPER int64_t to_ns(struct timespec t) { return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec; }

HELPER struct timespec from_ns(int64_t ns) {
  struct timespec t;
  t.tv_sec = (time_t)(ns / 1000000000);
  t.tv_nsec = (long)(ns % 1000000000);
  return t;
}

HELPER int64_t now_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return to_ns(t);
}

HELPER int64_t mono_ns(void) { return now_ns(CLOCK_MONOTONIC); }

// The absolute time that lies `ns` ahead on `clock`.
HELPER struct timespec after_ns(clockid_t clock, int64_t ns) { return from_ns(now_ns(clock) + ns); }

// Gives the others the time to get where they will block.
HELPER void settle(void) {
  struct timespec t = {0, 20000000};
  while (nanosleep(&t, &t) == -1 && errno == EINTR) {
  }
}

// For the few cases in which a thread must be blocked before something happens. The thread stores
// its tid right before the blocking call; the state of the thread in /proc tells when it sleeps.
// Where /proc does not know the thread, there is only time to give.
HELPER void settle_blocked(pid_t* tid) {
  pid_t id;
  while ((id = __atomic_load_n(tid, __ATOMIC_SEQ_CST)) == 0) settle();
  char name[64], text[256];
  snprintf(name, sizeof name, "/proc/self/task/%d/stat", (int)id);
  for (int i = 0; i < 500; ++i) {
    settle();
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd == -1) break;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) break;
    text[n] = '\0';
    const char* end = strrchr(text, ')');
    if (end && end[1] == ' ' && end[2] == 'S') break;
  }
  settle();
  __atomic_store_n(tid, 0, __ATOMIC_SEQ_CST);
}

// For what is counted beside threads that compute: other processes may take the processors, so of
// several rounds the best one counts.
HELPER int best_of(int rounds, int enough, int (*count)(void)) {
  int best = 0;
  for (int i = 0; i < rounds && best < enough; ++i) {
    const int counted = count();
    best = counted > best ? counted : best;
  }
  return best;
}

HELPER pthread_t start_at(const char* file, int line, void* (*body)(void*), void* argument) {
  pthread_t thread;
  int rc = pthread_create(&thread, NULL, body, argument);
  if (rc != 0) fail_at(file, line, "pthread_create: %s", strerror(rc));
  return thread;
}

HELPER void* join_at(const char* file, int line, pthread_t thread) {
  struct timespec deadline = after_ns(CLOCK_MONOTONIC, MS(kBoundMs));
  void* result = NULL;
  int rc = pthread_clockjoin_np(thread, &result, CLOCK_MONOTONIC, &deadline);
  if (rc != 0) fail_at(file, line, "join: expected the end of the thread, came %s", strerror(rc));
  return result;
}

HELPER void sem_take_at(const char* file, int line, sem_t* sem) {
  struct timespec deadline = after_ns(CLOCK_MONOTONIC, MS(kBoundMs));
  while (sem_clockwait(sem, CLOCK_MONOTONIC, &deadline) == -1) {
    if (errno != EINTR) fail_at(file, line, "semaphore: %s", strerror(errno));
  }
}

// Waits until the descriptor has one of the events (or an error), without reading from it.
HELPER short ready_at(const char* file, int line, int fd, short events) {
  struct pollfd p = {fd, events, 0};
  int n;
  do {
    n = poll(&p, 1, kBoundMs);
  } while (n == -1 && errno == EINTR);
  if (n != 1) fail_at(file, line, "fd %d did not become ready for %#x", fd, (unsigned)events);
  return p.revents;
}

// Reads exactly `size` bytes.
HELPER void read_all_at(const char* file, int line, int fd, void* buffer, size_t size) {
  size_t done = 0;
  while (done < size) {
    ready_at(file, line, fd, POLLIN);
    ssize_t n = read(fd, (char*)buffer + done, size - done);
    if (n == -1 && errno == EINTR) continue;
    if (n <= 0) {
      fail_at(file, line, "read of %zu bytes: %zu came, then %zd (errno %d)", size, done, n, errno);
    }
    done += (size_t)n;
  }
}

HELPER int wait_status_at(const char* file, int line, pid_t child) {
  int status = 0;
  pid_t came;
  int64_t deadline = mono_ns() + MS(kBoundMs);
  while ((came = waitpid(child, &status, WNOHANG)) == 0 || (came == -1 && errno == EINTR)) {
    if (mono_ns() > deadline) {
      kill(child, SIGKILL);
      fail_at(file, line, "child %d did not end", (int)child);
    }
    struct timespec t = {0, 1000000};
    nanosleep(&t, NULL);
  }
  if (came != child) fail_at(file, line, "waitpid: expected %d, came %d", (int)child, (int)came);
  return status;
}

#define start_thread(body, argument) start_at(__FILE__, __LINE__, body, argument)
#define join_thread(thread) join_at(__FILE__, __LINE__, thread)
#define sem_take(sem) sem_take_at(__FILE__, __LINE__, sem)
#define wait_ready(fd, events) ready_at(__FILE__, __LINE__, fd, events)
#define read_all(fd, buffer, size) read_all_at(__FILE__, __LINE__, fd, buffer, size)
// The wait status of a child that must end by itself.
#define wait_status(child) wait_status_at(__FILE__, __LINE__, child)
#define CHECK_EXITED(code, child)                                                    \
  do {                                                                               \
    int status_ = wait_status(child);                                                \
    if (!WIFEXITED(status_) || WEXITSTATUS(status_) != (code)) {                     \
      FAIL("child: expected exit status %d, came wait status %#x", (code), status_); \
    }                                                                                \
  } while (0)
#define CHECK_KILLED(sig, child)                                                        \
  do {                                                                                  \
    int status_ = wait_status(child);                                                   \
    if (!WIFSIGNALED(status_) || WTERMSIG(status_) != (sig)) {                          \
      FAIL("child: expected death by signal %d, came wait status %#x", (sig), status_); \
    }                                                                                   \
  } while (0)

HELPER void* do_nothing(void* argument) { return argument; }

// A process with one thread has nothing to switch to: start and end one.
#define be_threaded() join_thread(start_thread(do_nothing, NULL))

#undef HELPER

#endif  // TENDRIL_TESTS_PROGRAMS_CHECK_H_
