// System calls with bad arguments: bad pointers, absurd sizes, descriptors that are not open or of
// the wrong kind.
//
//   bad_calls compare SEED ROUNDS   each call in a process of its own with two threads; prints what
//                                   came of it, to be compared with another run of the same seed
//   bad_calls storm SEED CALLS      so many calls by each of several threads of one process, which
//                                   must be none the worse for it
//   bad_calls one SEED ROUND NUMBER prints the arguments and makes the call in this process
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "excluded_calls.h"

// Between the two lie numbers that no kernel has given to a call.
enum { kNumbers = 470, kFirstUnused = 336, kLastUnused = 423 };
enum { kPage = 4096, kStormThreads = 8, kBoundSeconds = 10 };

static uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

static char* good;      // two pages of zeros, then one that cannot be accessed
static char* readable;  // a page of zeros that cannot be written
static int file, stream, pipe_end;

static void make_arguments(void) {
  // The same addresses on every run: some calls take them for numbers.
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
  good = mmap((void*)0x10000000000, 3 * kPage, PROT_READ | PROT_WRITE, flags, -1, 0);
  readable = mmap((void*)0x10000100000, kPage, PROT_READ, flags, -1, 0);
  char directory[] = "/tmp/bad_calls.XXXXXX";
  int ends[2];
  if (good == MAP_FAILED || readable == MAP_FAILED || mprotect(good + 2 * kPage, kPage, 0) != 0 ||
      mkdtemp(directory) == NULL || chdir(directory) != 0 || pipe(ends) != 0)
    abort();
  rmdir(directory);  // what a call would make there cannot be made
  // The same numbers on every run.
  file = dup2(open("/tmp", O_TMPFILE | O_RDWR, 0600), 100);
  stream = dup2(socket(AF_INET, SOCK_STREAM, 0), 101);
  pipe_end = dup2(ends[1], 102);
  if (file != 100 || stream != 101 || pipe_end != 102) abort();
}

// `harmless`: nothing that could be meant in earnest.
static long pick(uint64_t random, int harmless) {
  const long bad[] = {
      -1,
      1,                             // in the page that is never mapped
      (long)(good + 2 * kPage),      // mapped, and cannot be accessed
      (long)(good + 2 * kPage - 3),  // its first bytes can
      (long)0x00007ffffffff000,      // the end of what a process may have
      (long)0xffff800000000000,      // the kernel's
      (long)0x1234567800000000,      // no address at all
      (long)(1UL << 63),
      0x7fffffff,
      1000,  // a descriptor that is not open
      0,
  };
  const long others[] = {
      0,      (long)good, (long)(good + 2 * kPage - 64), (long)readable, 2, 3, 8, 64, 4096, file,
      stream, pipe_end,
  };
  enum { kBad = sizeof bad / sizeof *bad, kOthers = sizeof others / sizeof *others };
  const uint64_t which = (random >> 8) % (harmless ? kBad - 1 : kBad + kOthers);
  return which < kBad ? bad[which] : others[which - kBad];
}

static void choose(uint64_t seed, long number, uint64_t round, int harmless, long arguments[6]) {
  for (unsigned i = 0; i < 6; ++i) {
    arguments[i] =
        pick(mix(seed * 1000003 + (uint64_t)number * 641 + round * 6700417 + i), harmless);
  }
}

// By an instruction that is not the C library's, or by its function.
static long call(long number, const long a[6], int directly) {
  long result;
  if (!directly) {
    // The function gives -1 and errno, from which the result follows.
    result = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    return result == -1 ? -errno : result;
  }
  register long r10 asm("r10") = a[3];
  register long r8 asm("r8") = a[4];
  register long r9 asm("r9") = a[5];
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

static int is_error(long result) { return result < 0 && result >= -4095; }

// --- compare ---

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

static void* wait_for_ever(void* argument) {
  pthread_mutex_lock(&held);
  return argument;
}

struct shared {
  long result;
  int done;
};

static void be_child(long number, const long arguments[6], int directly, struct shared* shared) {
  const struct itimerval bound = {{0, 0}, {kBoundSeconds, 0}};
  pthread_t thread;
  setitimer(ITIMER_REAL, &bound, NULL);
  // 1 and 2 are arguments too.
  for (int fd = 0; fd <= 2; ++fd) dup2(file, fd);
  pthread_mutex_lock(&held);
  if (pthread_create(&thread, NULL, wait_for_ever, NULL) != 0) abort();
  shared->result = call(number, arguments, directly);
  shared->done = 1;
  _exit(0);
}

static void compare_one(uint64_t seed, long number, uint64_t round, struct shared* shared) {
  long arguments[6];
  choose(seed, number, round, 0, arguments);
  shared->done = 0;
  const pid_t child = fork();
  if (child < 0) abort();
  if (child == 0) be_child(number, arguments, (int)(round % 2), shared);
  int status;
  while (waitpid(child, &status, 0) != child) {
  }
  printf("%ld round %lu: ", number, (unsigned long)round);
  if (!shared->done) {
    printf("ended with %#x\n", status);
  } else if (is_error(shared->result)) {
    printf("%s\n", strerrorname_np((int)-shared->result));
  } else {
    printf("done\n");
  }
}

static int compare(uint64_t seed, uint64_t rounds) {
  struct shared* shared =
      mmap(NULL, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) abort();
  for (long number = -2; number < kNumbers; ++number) {
    if (number == kFirstUnused) number = kLastUnused;
    if (why_excluded(number, 0) != NULL) continue;
    for (uint64_t round = 0; round < rounds; ++round) compare_one(seed, number, round, shared);
  }
  // Numbers of other tables, and none at all.
  const long others[] = {512, 547, 0x40000000, 0x40000000 + SYS_read, 1 << 20, -(1L << 40)};
  for (size_t i = 0; i < sizeof others / sizeof *others; ++i)
    compare_one(seed, others[i], i, shared);
  return 0;
}

// --- storm ---

static uint64_t storm_seed;
static uint64_t storm_calls;

static void* storm(void* argument) {
  const uint64_t self = (uint64_t)(uintptr_t)argument;
  for (uint64_t i = 0; i < storm_calls; ++i) {
    const uint64_t random = mix(storm_seed + self * 1299709 + i);
    const long number = (long)(random % kNumbers);
    if (why_excluded(number, 1) != NULL) continue;
    long arguments[6];
    choose(storm_seed + self, number, i, 1, arguments);
    const long result = call(number, arguments, (int)(i % 2));
    (void)result;
  }
  return NULL;
}

// What the threads of a healthy process can do.
static void* echo(void* argument) {
  const int* fds = argument;
  char bytes[256];
  for (int i = 0; i < 100; ++i) {
    if (read(fds[0], bytes, sizeof bytes) != sizeof bytes ||
        write(fds[1], bytes, sizeof bytes) != sizeof bytes)
      abort();
  }
  return NULL;
}

static void check_health(void) {
  int there[2], back[2];
  if (pipe(there) != 0 || pipe(back) != 0) abort();
  int fds[2] = {there[0], back[1]};
  pthread_t thread;
  if (pthread_create(&thread, NULL, echo, fds) != 0) abort();
  for (int i = 0; i < 100; ++i) {
    char sent[256], came[256];
    memset(sent, i, sizeof sent);
    if (write(there[1], sent, sizeof sent) != sizeof sent ||
        read(back[0], came, sizeof came) != sizeof came || memcmp(sent, came, sizeof sent) != 0)
      abort();
  }
  if (pthread_join(thread, NULL) != 0) abort();
}

static int run_storm(uint64_t seed, uint64_t calls) {
  pthread_t threads[kStormThreads];
  storm_seed = seed;
  storm_calls = calls;
  signal(SIGPIPE, SIG_IGN);
  // 1 and 2 are arguments too; what has been said at the end goes where no argument is.
  const int out = fcntl(1, F_DUPFD_CLOEXEC, 200);
  for (int fd = 0; fd <= 2; ++fd) dup2(file, fd);
  for (uintptr_t i = 0; i < kStormThreads; ++i) {
    if (pthread_create(&threads[i], NULL, storm, (void*)i) != 0) abort();
  }
  for (size_t i = 0; i < kStormThreads; ++i) pthread_join(threads[i], NULL);
  check_health();
  dprintf(out, "none the worse for it\n");
  return 0;
}

// Some of what is made in earnest would change files that belong to everybody: it is made by
// nobody, who may change none, with no descriptor of whoever started the tester.
static void give_up_rights(void) {
  enum { kNobody = 65534 };
  if (close_range(3, ~0U, 0) != 0) abort();
  if (geteuid() != 0) return;
  if (setgroups(0, NULL) != 0 || setresgid(kNobody, kNobody, kNobody) != 0 ||
      setresuid(kNobody, kNobody, kNobody) != 0)
    abort();
}

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  give_up_rights();
  const uint64_t seed = strtoull(argv[2], NULL, 10);
  const uint64_t amount = strtoull(argv[3], NULL, 10);
  setvbuf(stdout, NULL, _IOLBF, 0);
  make_arguments();
  if (strcmp(argv[1], "compare") == 0) return compare(seed, amount);
  if (strcmp(argv[1], "storm") == 0) return run_storm(seed, amount);
  if (strcmp(argv[1], "one") != 0 || argc < 5) return 2;
  const long number = strtol(argv[4], NULL, 10);
  long a[6];
  choose(seed, number, amount, 0, a);
  printf("%ld(%#lx, %#lx, %#lx, %#lx, %#lx, %#lx)\n", number, a[0], a[1], a[2], a[3], a[4], a[5]);
  pthread_t thread;
  pthread_mutex_lock(&held);
  if (pthread_create(&thread, NULL, wait_for_ever, NULL) != 0) abort();
  printf("%ld\n", call(number, a, (int)(amount % 2)));
  return 0;
}
