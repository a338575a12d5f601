// mixed_load SECONDS: threads that do everything at once, in rounds: locks, conditions, semaphores,
// sockets made and closed, threads made and ended, memory, signals, forks.
//
// It fails (status 1, and a line on stderr that says what) if an actor makes no step for a while,
// which is what a lost wake-up looks like; if a value is wrong; or if rounds leave descriptors,
// mappings, memory or tasks behind.
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  kRoundSeconds = 2,
  kWarmUpRounds = 3,
  kLongestStandstill = 15,  // seconds without a step of an actor
  kActors = 24,
};

struct actor {
  pthread_t thread;
  int index;
  const char* name;
  void* (*run)(void* self);
  uint64_t random;
  unsigned long steps;  // atomic
  int ended;            // atomic
};

static struct actor actors[kActors];
static int over;               // atomic: the round is
static unsigned long handled;  // atomic

static void fail(const char* what, const char* who) {
  dprintf(2, "mixed_load: %s: %s (errno %d: %s)\n", who, what, errno, strerror(errno));
  _exit(1);
}

static int is_over(void) { return __atomic_load_n(&over, __ATOMIC_RELAXED); }

static void step(struct actor* self) { __atomic_add_fetch(&self->steps, 1, __ATOMIC_RELAXED); }

static unsigned below(struct actor* self, unsigned limit) {
  uint64_t x = self->random;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  self->random = x;
  return (unsigned)(x >> 33) % limit;
}

static void count_signal(int number) {
  (void)number;
  __atomic_add_fetch(&handled, 1, __ATOMIC_RELAXED);
}

// --- actors: each returns when the round is over ---

static pthread_mutex_t counter_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long counter, counted;  // guarded by it; atomic

static void* count_under_lock(void* argument) {
  struct actor* self = argument;
  while (!is_over()) {
    pthread_mutex_lock(&counter_lock);
    const unsigned long before = counter;
    if (below(self, 8) == 0) sched_yield();
    counter = before + 1;
    pthread_mutex_unlock(&counter_lock);
    __atomic_add_fetch(&counted, 1, __ATOMIC_RELAXED);
    step(self);
  }
  return NULL;
}

// Two of these pass a ball to each other.
static pthread_mutex_t ball_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ball_moved = PTHREAD_COND_INITIALIZER;
static int ball_side;  // guarded by ball_lock

static void* play_ball(void* argument) {
  struct actor* self = argument;
  const int side = self->index % 2;
  pthread_mutex_lock(&ball_lock);
  while (!is_over()) {
    while (ball_side != side && !is_over()) pthread_cond_wait(&ball_moved, &ball_lock);
    ball_side = !side;
    pthread_cond_broadcast(&ball_moved);
    step(self);
  }
  pthread_cond_broadcast(&ball_moved);
  pthread_mutex_unlock(&ball_lock);
  return NULL;
}

static sem_t slots;

static void* take_slots(void* argument) {
  struct actor* self = argument;
  while (!is_over()) {
    while (sem_wait(&slots) != 0) {
      if (errno != EINTR) fail("sem_wait", self->name);
    }
    if (below(self, 4) == 0) usleep(below(self, 200));
    sem_post(&slots);
    step(self);
  }
  return NULL;
}

static void* sleep_briefly(void* argument) {
  struct actor* self = argument;
  while (!is_over()) {
    usleep(below(self, 2000));
    step(self);
  }
  return NULL;
}

static void transfer_all(ssize_t (*transfer)(int, char*, size_t), int fd, char* bytes, size_t size,
                         const char* who) {
  while (size > 0) {
    const ssize_t moved = transfer(fd, bytes, size);
    if (moved < 0 && errno == EINTR) continue;
    if (moved <= 0) fail("the other end is gone", who);
    bytes += moved;
    size -= (size_t)moved;
  }
}
static ssize_t put(int fd, char* bytes, size_t size) { return write(fd, bytes, size); }
static ssize_t get(int fd, char* bytes, size_t size) { return read(fd, bytes, size); }

static void* echo(void* argument) {
  const int fd = (int)(intptr_t)argument;
  char bytes[512];
  for (;;) {
    const ssize_t size = read(fd, bytes, sizeof bytes);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    transfer_all(put, fd, bytes, (size_t)size, "echo");
  }
  close(fd);
  return argument;
}

// A connection, a thread that serves it, a few messages, and all of it away again.
static void* connect_and_talk(void* argument) {
  struct actor* self = argument;
  while (!is_over()) {
    int ends[2];
    pthread_t server;
    char sent[512], received[512];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) fail("socketpair", self->name);
    if (pthread_create(&server, NULL, echo, (void*)(intptr_t)ends[1]) != 0)
      fail("pthread_create", self->name);
    for (unsigned left = 1 + below(self, 10); left > 0; --left) {
      const size_t size = 1 + below(self, sizeof sent);
      memset(sent, (int)below(self, 256), size);
      transfer_all(put, ends[0], sent, size, self->name);
      transfer_all(get, ends[0], received, size, self->name);
      if (memcmp(sent, received, size) != 0) fail("other bytes came back", self->name);
    }
    close(ends[0]);
    pthread_join(server, NULL);
    step(self);
  }
  return NULL;
}

static sem_t detached_ended;

static void* end_at_once(void* argument) {
  sem_post(&detached_ended);
  return argument;
}

static void* make_detached(void* argument) {
  struct actor* self = argument;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  while (!is_over()) {
    const unsigned count = 1 + below(self, 8);
    for (unsigned i = 0; i < count; ++i) {
      pthread_t thread;
      if (pthread_create(&thread, &attributes, end_at_once, NULL) != 0)
        fail("pthread_create", self->name);
    }
    for (unsigned i = 0; i < count; ++i) {
      while (sem_wait(&detached_ended) != 0) {
      }
    }
    step(self);
  }
  pthread_attr_destroy(&attributes);
  return NULL;
}

static void* use_memory(void* argument) {
  struct actor* self = argument;
  enum { kBlocks = 50 };
  while (!is_over()) {
    char* blocks[kBlocks];
    for (int i = 0; i < kBlocks; ++i) {
      const size_t size = 1 + below(self, 5000);
      if ((blocks[i] = malloc(size)) == NULL) fail("malloc", self->name);
      memset(blocks[i], i, size);
    }
    const size_t size = (size_t)(1 + below(self, 64)) * 4096;
    char* pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) fail("mmap", self->name);
    memset(pages, 1, size);
    munmap(pages, size);
    for (int i = 0; i < kBlocks; ++i) {
      if (blocks[i][0] != i) fail("memory of another's", self->name);
      free(blocks[i]);
    }
    step(self);
  }
  return NULL;
}

static void* fork_children(void* argument) {
  struct actor* self = argument;
  while (!is_over()) {
    int ends[2];
    if (pipe(ends) != 0) fail("pipe", self->name);
    const pid_t child = fork();
    if (child < 0) fail("fork", self->name);
    if (child == 0) _exit(write(ends[1], "x", 1) == 1 ? 7 : 1);
    close(ends[1]);
    char byte;
    transfer_all(get, ends[0], &byte, 1, self->name);
    close(ends[0]);
    int status = 0;
    pid_t waited;
    while ((waited = waitpid(child, &status, 0)) < 0 && errno == EINTR) {
    }
    if (waited != child || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
      fail("the child ended otherwise", self->name);
    step(self);
    usleep(below(self, 20000));
  }
  return NULL;
}

static void* send_signals(void* argument) {
  struct actor* self = argument;
  while (!is_over()) {
    // All are joined after the round, when this one has ended: the thread is there.
    pthread_kill(actors[below(self, kActors)].thread, SIGUSR1);
    kill(getpid(), SIGUSR2);
    usleep(below(self, 3000));
    step(self);
  }
  return NULL;
}

static void* compute(void* argument) {
  struct actor* self = argument;
  while (!is_over()) {
    for (int i = 0; i < 100000; ++i) below(self, 2);
    step(self);
  }
  return NULL;
}

static const struct {
  const char* name;
  void* (*run)(void* self);
  int count;
} kCast[] = {
    {"count_under_lock", count_under_lock, 4},
    {"play_ball", play_ball, 2},
    {"take_slots", take_slots, 4},
    {"sleep_briefly", sleep_briefly, 3},
    {"connect_and_talk", connect_and_talk, 4},
    {"make_detached", make_detached, 2},
    {"use_memory", use_memory, 2},
    {"fork_children", fork_children, 1},
    {"send_signals", send_signals, 1},
    {"compute", compute, 1},
};

// --- what is left after a round ---

struct usage {
  long descriptors, tasks, mappings, resident_kb;
};

static long entries_of(const char* path) {
  DIR* directory = opendir(path);
  if (directory == NULL) fail("opendir", path);
  long count = 0;
  while (readdir(directory) != NULL) ++count;
  closedir(directory);
  return count - 2;
}

static struct usage measure(void) {
  struct usage now = {entries_of("/proc/self/fd"), entries_of("/proc/self/task"), 0, 0};
  FILE* maps = fopen("/proc/self/maps", "r");
  if (maps == NULL) fail("fopen", "/proc/self/maps");
  for (int c; (c = getc(maps)) != EOF;) now.mappings += c == '\n';
  fclose(maps);
  FILE* status = fopen("/proc/self/status", "r");
  char line[256];
  while (status != NULL && fgets(line, sizeof line, status) != NULL) {
    if (sscanf(line, "VmRSS: %ld", &now.resident_kb) == 1) break;
  }
  if (status != NULL) fclose(status);
  return now;
}

static void check_growth(const char* what, long first, long last, long allowed) {
  if (last - first <= allowed) return;
  dprintf(2, "mixed_load: %s: %ld after the first rounds, %ld after the last; %ld more allowed\n",
          what, first, last, allowed);
  _exit(1);
}

// --- rounds ---

static void* run_actor(void* argument) {
  struct actor* self = argument;
  self->run(self);
  __atomic_store_n(&self->ended, 1, __ATOMIC_RELEASE);
  return NULL;
}

static double now_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// Watches until all have made their last step.
static void watch(void) {
  unsigned long seen[kActors] = {0};
  double moved[kActors];
  const double begin = now_seconds();
  for (int i = 0; i < kActors; ++i) moved[i] = begin;
  for (int left = kActors; left > 0;) {
    usleep(100000);
    const double now = now_seconds();
    if (now - begin > kRoundSeconds) __atomic_store_n(&over, 1, __ATOMIC_RELAXED);
    left = 0;
    for (int i = 0; i < kActors; ++i) {
      if (__atomic_load_n(&actors[i].ended, __ATOMIC_ACQUIRE)) continue;
      ++left;
      const unsigned long steps = __atomic_load_n(&actors[i].steps, __ATOMIC_RELAXED);
      if (steps != seen[i]) moved[i] = now;
      seen[i] = steps;
      if (now - moved[i] > kLongestStandstill) {
        dprintf(2, "mixed_load: %s (actor %d) makes no step any more, after %lu\n", actors[i].name,
                i, steps);
        _exit(1);
      }
    }
  }
}

static void play_round(unsigned number) {
  __atomic_store_n(&over, 0, __ATOMIC_RELAXED);
  int next = 0;
  for (size_t role = 0; role < sizeof kCast / sizeof *kCast; ++role) {
    for (int i = 0; i < kCast[role].count; ++i, ++next) {
      actors[next] = (struct actor){.index = next,
                                    .name = kCast[role].name,
                                    .run = kCast[role].run,
                                    .random = 88172645463325252U + number * 1000U + (unsigned)next};
    }
  }
  if (next != kActors) fail("the cast and kActors differ", "play_round");
  // The sender of signals must find all the others' threads.
  for (int i = 0; i < kActors; ++i) {
    if (actors[i].run == send_signals) continue;
    if (pthread_create(&actors[i].thread, NULL, run_actor, &actors[i]) != 0)
      fail("pthread_create", actors[i].name);
  }
  for (int i = 0; i < kActors; ++i) {
    if (actors[i].run != send_signals) continue;
    actors[i].thread = pthread_self();
    if (pthread_create(&actors[i].thread, NULL, run_actor, &actors[i]) != 0)
      fail("pthread_create", actors[i].name);
  }
  watch();
  for (int i = 0; i < kActors; ++i) pthread_join(actors[i].thread, NULL);
  if (counter != counted) fail("an update was lost", "count_under_lock");
}

int main(int count, char** arguments) {
  const long seconds = count == 2 ? atol(arguments[1]) : 0;
  const long rounds = seconds / kRoundSeconds;
  if (rounds <= kWarmUpRounds) {
    dprintf(2, "usage: mixed_load SECONDS (at least %d)\n", (kWarmUpRounds + 1) * kRoundSeconds);
    return 2;
  }
  struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
  sigaction(SIGUSR1, &action, NULL);
  action.sa_flags = 0;
  sigaction(SIGUSR2, &action, NULL);
  sem_init(&slots, 0, 2);
  sem_init(&detached_ended, 0, 0);

  struct usage first = {0, 0, 0, 0}, last = {0, 0, 0, 0};
  for (long round = 1; round <= rounds; ++round) {
    play_round((unsigned)round);
    last = measure();
    if (round == kWarmUpRounds) first = last;
  }
  if (handled == 0) fail("no handler ever ran", "send_signals");
  // A leak of one a thread, connection or child would be thousands. What may still be made once:
  // heaps of malloc, OS threads of a pool, stacks that are kept for the next threads.
  check_growth("descriptors", first.descriptors, last.descriptors, 4);
  check_growth("tasks", first.tasks, last.tasks, 20);
  check_growth("mappings", first.mappings, last.mappings, 200);
  check_growth("resident KB", first.resident_kb, last.resident_kb, 64 * 1024);
  puts("every actor made steps to the end, and nothing was left behind");
  return 0;
}
