// What system calls cost that do not wait, by each way they can take. Plain C, run native and,
// unmodified, under tendril.
//
//   calls_bench
//
// Prints `metric=nanoseconds` lines, of CPU. For each call: by libc's function (`_libc`), by an
// instruction of the program's own (`_own`), and by one that cannot be rewritten, since a jump
// leads to it
// (`_bare`).
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { kMeasureMs = 60 };

static double now_ns(void) {  // of CPU: others may want the processor, too
  struct timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return time.tv_sec * 1e9 + time.tv_nsec;
}

#define CALL(registers)                                            \
  long result;                                                     \
  register long r10 __asm__("r10") = 0;                            \
  __asm__ volatile(registers                                       \
                   : "=a"(result)                                  \
                   : "i"(NUMBER), "D"(a), "S"(b), "d"(c), "r"(r10) \
                   : "rcx", "r11", "memory");                      \
  return result

#define DEFINE(name, number)                                                  \
  static __attribute__((noinline)) long own_##name(long a, long b, long c) {  \
    enum { NUMBER = number };                                                 \
    CALL("movl %1, %%eax\n\tsyscall");                                        \
  }                                                                           \
  static __attribute__((noinline)) long bare_##name(long a, long b, long c) { \
    enum { NUMBER = number };                                                 \
    CALL("movl %1, %%eax\n\tjmp 1f\n1:\tsyscall");                            \
  }

DEFINE(getppid, SYS_getppid)
DEFINE(read, SYS_read)
DEFINE(write, SYS_write)
DEFINE(futex, SYS_futex)
DEFINE(yield, SYS_sched_yield)

static int zero, null, ends[2];
static uint32_t word;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char byte;

#define MEASURE(metric, ...)                                      \
  do {                                                            \
    long count = 0;                                               \
    double began = now_ns(), ended;                               \
    do {                                                          \
      for (int i = 0; i < 1000; i++) {                            \
        __VA_ARGS__;                                              \
      }                                                           \
      count += 1000;                                              \
      ended = now_ns();                                           \
    } while (ended - began < kMeasureMs * 1e6);                   \
    printf("%s=%.2f\n", metric, (ended - began) / (double)count); \
  } while (0)

static void* nothing(void* argument) { return argument; }

static void die(const char* what) {
  fprintf(stderr, "calls_bench: %s: %s\n", what, strerror(errno));
  exit(1);
}

int main(void) {
  pthread_t thread;  // a process with one thread is not run green
  if ((errno = pthread_create(&thread, NULL, nothing, NULL)) != 0) die("pthread_create");
  pthread_join(thread, NULL);
  zero = open("/dev/zero", O_RDONLY);
  null = open("/dev/null", O_WRONLY);
  if (zero < 0 || null < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0) die("open");

  MEASURE("getppid_libc", getppid());
  MEASURE("getppid_own", own_getppid(0, 0, 0));
  MEASURE("getppid_bare", bare_getppid(0, 0, 0));
  const long to = (long)&byte;
  MEASURE("read_libc", if (read(zero, &byte, 1) != 1) die("read"));
  MEASURE("read_own", own_read(zero, to, 1));
  MEASURE("read_bare", bare_read(zero, to, 1));
  MEASURE("write_libc", if (write(null, &byte, 1) != 1) die("write"));
  MEASURE("write_own", own_write(null, to, 1));
  MEASURE("write_bare", bare_write(null, to, 1));
  MEASURE("futex_wake_libc", syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
  MEASURE("futex_wake_own", own_futex((long)&word, FUTEX_WAKE_PRIVATE, 1));
  MEASURE("futex_wake_bare", bare_futex((long)&word, FUTEX_WAKE_PRIVATE, 1));
  MEASURE("yield_libc", sched_yield());
  MEASURE("yield_own", own_yield(0, 0, 0));
  MEASURE("yield_bare", bare_yield(0, 0, 0));
  MEASURE(
      "socket_pair_libc",
      if (write(ends[0], &byte, 1) != 1 || read(ends[1], &byte, 1) != 1) { die("socket pair"); });
  struct timespec time;
  MEASURE("clock_gettime_libc", clock_gettime(CLOCK_MONOTONIC, &time));
  MEASURE("mutex_libc", pthread_mutex_lock(&mutex); pthread_mutex_unlock(&mutex));
  MEASURE("open_close_libc", int fd = open("/dev/null", O_RDONLY); close(fd));
  return 0;
}
