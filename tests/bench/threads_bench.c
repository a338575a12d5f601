// What POSIX threads cost. Plain pthreads, run native and, unmodified, under tendril.
//
//   threads_bench yield | condvar | mutex | semaphore | shared_semaphore | pipe | polled_pipe |
//                 socket_pair | eventfd | create_join | create_join_batch
//   threads_bench once                     one thread that ends at once
//   threads_bench alive N
//
// Prints `metric=value` lines, times in nanoseconds.
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kMeasureMs = 300, kBatch = 1000 };

static void die(const char* what, int error) {
  fprintf(stderr, "threads_bench: %s: %s\n", what, strerror(error));
  exit(1);
}

static double now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e9 + time.tv_nsec;
}

static pthread_t start(void* (*function)(void*), void* argument) {
  pthread_t thread;
  int error = pthread_create(&thread, NULL, function, argument);
  if (error != 0) die("pthread_create", error);
  return thread;
}

static void* nothing(void* argument) { return argument; }

// Two threads hand a turn to each other until the time is over; `pass` gives the turn away and
// returns when it is back. One hand-over is half of a round trip.
struct pair {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  sem_t semaphores[2];
  sem_t* shared;  // two, in memory that another process could have, too
  int pipes[2][2];
  int sockets[2][2];
  int eventfds[2];
  int turn;
  atomic_int over;
  void (*pass)(struct pair* pair, int me);
};

static void pass_by_condvar(struct pair* pair, int me) {
  pthread_mutex_lock(&pair->mutex);
  pair->turn = !me;
  pthread_cond_signal(&pair->changed);
  while (pair->turn != me && !atomic_load_explicit(&pair->over, memory_order_relaxed)) {
    pthread_cond_wait(&pair->changed, &pair->mutex);
  }
  pthread_mutex_unlock(&pair->mutex);
}

static void pass_by_semaphore(struct pair* pair, int me) {
  sem_post(&pair->semaphores[!me]);
  while (sem_wait(&pair->semaphores[me]) < 0) {
  }
}

static void pass_by_pipe(struct pair* pair, int me) {
  char byte = 0;
  if (write(pair->pipes[!me][1], &byte, 1) != 1) die("write", errno);
  if (read(pair->pipes[me][0], &byte, 1) != 1) die("read", errno);
}

static void pass_by_polled_pipe(struct pair* pair, int me) {
  char byte = 0;
  struct pollfd readable = {pair->pipes[me][0], POLLIN, 0};
  if (write(pair->pipes[!me][1], &byte, 1) != 1) die("write", errno);
  if (poll(&readable, 1, -1) != 1) die("poll", errno);
  if (read(pair->pipes[me][0], &byte, 1) != 1) die("read", errno);
}

static void pass_by_socket_pair(struct pair* pair, int me) {
  char byte = 0;
  if (write(pair->sockets[!me][1], &byte, 1) != 1) die("write", errno);
  if (read(pair->sockets[me][0], &byte, 1) != 1) die("read", errno);
}

static void pass_by_eventfd(struct pair* pair, int me) {
  eventfd_t value;
  if (eventfd_write(pair->eventfds[!me], 1) != 0) die("eventfd_write", errno);
  if (eventfd_read(pair->eventfds[me], &value) != 0) die("eventfd_read", errno);
}

static void* second_of_pair(void* argument) {
  struct pair* pair = argument;
  while (!atomic_load_explicit(&pair->over, memory_order_relaxed)) pair->pass(pair, 1);
  return NULL;
}

static void pass_by_shared_semaphore(struct pair* pair, int me) {
  sem_post(&pair->shared[!me]);
  while (sem_wait(&pair->shared[me]) < 0) {
  }
}

static void ping_pong(const char* metric, void (*pass)(struct pair*, int)) {
  static struct pair pair = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                             .changed = PTHREAD_COND_INITIALIZER};
  pair.pass = pass;
  pair.shared = mmap(NULL, 2 * sizeof *pair.shared, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (pair.shared == MAP_FAILED) die("mmap", errno);
  for (int i = 0; i < 2; i++) {
    sem_init(&pair.semaphores[i], 0, 0);
    sem_init(&pair.shared[i], 1, 0);
    if (pipe(pair.pipes[i]) < 0) die("pipe", errno);
  }
  // Threads there are already, as in most programs when they make such things.
  pthread_join(start(nothing, NULL), NULL);
  for (int i = 0; i < 2; i++) {
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair.sockets[i]) < 0) die("socketpair", errno);
    if ((pair.eventfds[i] = eventfd(0, 0)) < 0) die("eventfd", errno);
  }
  pthread_t second = start(second_of_pair, &pair);
  for (int i = 0; i < 1000; i++) pass(&pair, 0);
  long trips = 0;
  double began = now_ns(), ended;
  do {
    for (int i = 0; i < 100; i++) pass(&pair, 0);
    trips += 100;
    ended = now_ns();
  } while (ended - began < kMeasureMs * 1e6);
  // Let the second one out of whatever it waits in.
  pthread_mutex_lock(&pair.mutex);
  atomic_store(&pair.over, 1);
  pthread_cond_broadcast(&pair.changed);
  pthread_mutex_unlock(&pair.mutex);
  sem_post(&pair.semaphores[1]);
  sem_post(&pair.shared[1]);
  if (write(pair.pipes[1][1], "", 1) != 1) die("write", errno);
  if (write(pair.sockets[1][1], "", 1) != 1) die("write", errno);
  if (eventfd_write(pair.eventfds[1], 1) != 0) die("eventfd_write", errno);
  pthread_join(second, NULL);
  printf("%s=%.1f\n", metric, (ended - began) / (2.0 * trips));
}

// sched_yield: counted are the calls after which the other thread has run.
static struct {
  atomic_int over;
  volatile int last;
  volatile long switches;
} yielding;

static void* yield_until_over(void* argument) {
  int me = argument != NULL;
  while (!atomic_load_explicit(&yielding.over, memory_order_relaxed)) {
    if (yielding.last != me) {
      yielding.last = me;
      yielding.switches++;
    }
    sched_yield();
  }
  return NULL;
}

static void yield(void) {
  pthread_t threads[2];
  struct timespec length = {0, kMeasureMs * 1000000L};
  double began = now_ns();
  for (int i = 0; i < 2; i++) threads[i] = start(yield_until_over, i == 0 ? NULL : &yielding);
  nanosleep(&length, NULL);
  atomic_store(&yielding.over, 1);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  printf("yield_ns=%.1f\n", (now_ns() - began) / yielding.switches);
}

// A mutex that is always contended: its holder gives the processor away while holding it.
static struct {
  pthread_mutex_t mutex;
  atomic_int over;
  long acquired;
} contended = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void* contend(void* argument) {
  while (!atomic_load_explicit(&contended.over, memory_order_relaxed)) {
    pthread_mutex_lock(&contended.mutex);
    contended.acquired++;
    sched_yield();
    pthread_mutex_unlock(&contended.mutex);
  }
  return argument;
}

static void mutex(void) {
  enum { kThreads = 4 };
  pthread_t threads[kThreads];
  struct timespec length = {0, kMeasureMs * 1000000L};
  double began = now_ns();
  for (int i = 0; i < kThreads; i++) threads[i] = start(contend, NULL);
  nanosleep(&length, NULL);
  atomic_store(&contended.over, 1);
  for (int i = 0; i < kThreads; i++) pthread_join(threads[i], NULL);
  printf("mutex_contended_ns=%.1f\n", (now_ns() - began) / contended.acquired);
}

static void create_join(const char* metric, int batch) {
  pthread_t threads[kBatch];
  long made = 0;
  double began = 0, ended;
  for (int round = -1;; round++) {
    if (round == 0) {  // the first round warmed up
      began = now_ns();
      made = 0;
    }
    for (int i = 0; i < batch; i++) threads[i] = start(nothing, NULL);
    for (int i = 0; i < batch; i++) pthread_join(threads[i], NULL);
    made += batch;
    ended = now_ns();
    if (round > 0 && ended - began > kMeasureMs * 1e6) break;
  }
  printf("%s=%.1f\n", metric, (ended - began) / made);
}

// Threads alive at once, each blocked in read, and what one of them takes.
static long kb_of(const char* file, const char* key) {
  char line[256];
  long kb = 0;
  FILE* stream = fopen(file, "r");
  if (stream == NULL) return 0;
  while (fgets(line, sizeof line, stream) != NULL) {
    if (strncmp(line, key, strlen(key)) == 0) kb = strtol(line + strlen(key), NULL, 10);
  }
  fclose(stream);
  return kb;
}

static long own_kb(void) {
  return kb_of("/proc/self/smaps_rollup", "Pss:") + kb_of("/proc/self/status", "VmPTE:") +
         16 * kb_of("/proc/self/status", "Threads:");  // kernel stacks: 16 KB each
}

static atomic_long arrived;

static void* block_in_read(void* argument) {
  char byte;
  atomic_fetch_add(&arrived, 1);
  while (read(*(int*)argument, &byte, 1) < 0) {
  }
  return NULL;
}

static void alive(long wanted) {
  int ends[2];
  pthread_t* threads = calloc((size_t)wanted, sizeof *threads);
  if (threads == NULL || pipe(ends) < 0) die("alive", errno);
  memset(threads, 1, (size_t)wanted * sizeof *threads);
  pthread_join(start(nothing, NULL), NULL);
  long before_kb = own_kb();
  double began = now_ns();
  long made = 0;
  int error = 0;
  while (made < wanted && error == 0) {
    error = pthread_create(&threads[made], NULL, block_in_read, &ends[0]);
    if (error == 0) made++;
  }
  while (atomic_load(&arrived) < made) usleep(1000);
  usleep(50000);  // from the counter into read
  double ended = now_ns();
  printf("alive=%ld\nalive_bytes_each=%.0f\nalive_kernel_threads=%ld\n", made,
         (own_kb() - before_kb) * 1024.0 / made, kb_of("/proc/self/status", "Threads:"));
  printf("alive_start_ns=%.0f\n", (ended - began) / made);
  if (made < wanted) printf("alive_stopped_by=%s\n", strerror(error));
  close(ends[1]);
  for (long i = 0; i < made; i++) pthread_join(threads[i], NULL);
}

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "yield") == 0) {
    yield();
  } else if (strcmp(what, "condvar") == 0) {
    ping_pong("condvar_handover_ns", pass_by_condvar);
  } else if (strcmp(what, "semaphore") == 0) {
    ping_pong("semaphore_handover_ns", pass_by_semaphore);
  } else if (strcmp(what, "shared_semaphore") == 0) {
    ping_pong("shared_semaphore_handover_ns", pass_by_shared_semaphore);
  } else if (strcmp(what, "pipe") == 0) {
    ping_pong("pipe_handover_ns", pass_by_pipe);
  } else if (strcmp(what, "polled_pipe") == 0) {
    ping_pong("polled_pipe_handover_ns", pass_by_polled_pipe);
  } else if (strcmp(what, "socket_pair") == 0) {
    ping_pong("socket_pair_handover_ns", pass_by_socket_pair);
  } else if (strcmp(what, "eventfd") == 0) {
    ping_pong("eventfd_handover_ns", pass_by_eventfd);
  } else if (strcmp(what, "mutex") == 0) {
    mutex();
  } else if (strcmp(what, "create_join") == 0) {
    create_join("create_join_ns", 1);
  } else if (strcmp(what, "create_join_batch") == 0) {
    create_join("create_join_batch_ns", kBatch);
  } else if (strcmp(what, "once") == 0) {
    pthread_join(start(nothing, NULL), NULL);
  } else if (strcmp(what, "alive") == 0 && argc > 2 && atol(argv[2]) > 0) {
    alive(atol(argv[2]));
  } else {
    fprintf(stderr,
            "usage: threads_bench yield|condvar|mutex|semaphore|shared_semaphore|pipe|"
            "create_join|create_join_batch|once|alive N\n");
    return 2;
  }
  return 0;
}
