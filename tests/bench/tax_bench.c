// Programs that never wait: what interposition costs them when it gains them nothing. Plain C, run
// native and, unmodified, under tendril.
//
//   tax_bench compute | allocate | copy | files | strings
//
// A short thread comes first, for a process with one thread is not run green. Prints
// `tax_ms=milliseconds` of CPU.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void die(const char* what) {
  fprintf(stderr, "tax_bench: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void* nothing(void* argument) { return argument; }

static volatile uint64_t sink;

static void compute(void) {
  uint64_t x = 88172645463325252ULL;
  double sum = 0;
  for (long i = 0; i < 120000000; i++) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    sum += (double)(x & 1023);
  }
  sink = (uint64_t)sum;
}

static void allocate(void) {
  enum { kLive = 4096 };
  static void* live[kLive];
  uint32_t x = 12345;
  for (long i = 0; i < 8000000; i++) {
    x = x * 1664525 + 1013904223;
    void** slot = &live[x >> 20];
    free(*slot);
    *slot = malloc(16 + (x & 2047));
    if (*slot == NULL) die("malloc");
    *(char*)*slot = 1;
  }
}

// 4 KB at a time from one file to another: two system calls each.
static void copy(void) {
  static char block[4096];
  const int from = open("/dev/zero", O_RDONLY);
  const int to = open("/dev/null", O_WRONLY);
  if (from < 0 || to < 0) die("open");
  for (long i = 0; i < 500000; i++) {
    if (read(from, block, sizeof block) != sizeof block) die("read");
    if (write(to, block, sizeof block) != sizeof block) die("write");
  }
}

static void files(void) {
  struct stat status;
  for (long i = 0; i < 60000; i++) {
    const int fd = open("/proc/self/exe", O_RDONLY);
    char head[64];
    if (fd < 0 || fstat(fd, &status) < 0 || read(fd, head, sizeof head) != sizeof head) die("file");
    close(fd);
    if (stat("/etc/passwd", &status) < 0) die("stat");
  }
}

static void strings(void) {
  char text[256];
  for (long i = 0; i < 1500000; i++) {
    snprintf(text, sizeof text, "%ld %s %x", i, "the quick brown fox", (unsigned)i);
    sink += strlen(text) + (uint64_t)strtol(text, NULL, 10);
  }
}

int main(int count, char** arguments) {
  static const struct {
    const char* name;
    void (*run)(void);
  } kinds[] = {{"compute", compute},
               {"allocate", allocate},
               {"copy", copy},
               {"files", files},
               {"strings", strings}};
  pthread_t thread;
  if ((errno = pthread_create(&thread, NULL, nothing, NULL)) != 0) die("pthread_create");
  pthread_join(thread, NULL);
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    if (count != 2 || strcmp(arguments[1], kinds[i].name) != 0) continue;
    struct timespec began, ended;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &began);
    kinds[i].run();
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ended);
    printf("tax_ms=%.3f\n", (double)(ended.tv_sec - began.tv_sec) * 1e3 +
                                (double)(ended.tv_nsec - began.tv_nsec) / 1e6);
    return 0;
  }
  fprintf(stderr, "usage: tax_bench compute | allocate | copy | files | strings\n");
  return 2;
}
