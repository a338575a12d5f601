// What several processors give to a program with threads. Plain pthreads, run native and,
// unmodified, under tendril.
//
//   cores_bench cpu THREADS           wall and CPU time of so many threads that only compute
//   cores_bench hogs HOGS             how late a thread wakes that sleeps 1 ms beside so many hogs
//   cores_bench pairs PAIRS           hand-overs by condition variable, pairs at the same time
//   cores_bench stops THREADS         a thread asks another to stop so many that compute for a
//   moment, as
//                                     collectors of garbage do, and waits until they have been let
//                                     go on
//   cores_bench pipeline              items per second through three threads that work on each
//
// Prints `metric=value` lines, times in nanoseconds.
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "compute.h"

enum {
  kComputeRounds = 400 * 1000 * 1000,
  kSamples = 400,
  kMostThreads = 256,
  kPairMs = 400,
  kItems = 3000,
  kStops = 100,
  kStages = 3
};

static double now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e9 + time.tv_nsec;
}

static double cpu_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return time.tv_sec * 1e9 + time.tv_nsec;
}

static void start(pthread_t* thread, void* (*function)(void*), void* argument) {
  const int error = pthread_create(thread, NULL, function, argument);
  if (error == 0) return;
  fprintf(stderr, "cores_bench: pthread_create: %s\n", strerror(error));
  exit(1);
}

static atomic_uint_fast64_t sink;

static void* computes(void* argument) {
  (void)argument;
  atomic_fetch_add(&sink, compute(kComputeRounds, (uintptr_t)&argument));
  return NULL;
}

static void bench_cpu(int count) {
  pthread_t threads[kMostThreads];
  const double begin = now_ns();
  for (int i = 0; i < count; ++i) start(&threads[i], computes, NULL);
  for (int i = 0; i < count; ++i) pthread_join(threads[i], NULL);
  printf("wall=%.0f\ncpu=%.0f\n", now_ns() - begin, cpu_ns());
}

static atomic_int over;

static void* hogs(void* argument) {
  while (!atomic_load_explicit(&over, memory_order_relaxed)) {
    atomic_fetch_add(&sink, compute(10000, (uintptr_t)argument));
  }
  return NULL;
}

static int by_value(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;
  return x < y ? -1 : x > y;
}

static void* naps(void* argument) {
  double* late = argument;
  for (int i = 0; i < kSamples; ++i) {
    const double begin = now_ns();
    usleep(1000);
    late[i] = now_ns() - begin - 1e6;
  }
  return NULL;
}

static void bench_hogs(int count) {
  static double late[kSamples];
  pthread_t threads[kMostThreads], napper;
  for (int i = 0; i < count; ++i) start(&threads[i], hogs, NULL);
  start(&napper, naps, late);
  pthread_join(napper, NULL);
  atomic_store(&over, 1);
  for (int i = 0; i < count; ++i) pthread_join(threads[i], NULL);
  qsort(late, kSamples, sizeof late[0], by_value);
  printf("p50=%.0f\np99=%.0f\nmax=%.0f\n", late[kSamples / 2], late[kSamples * 99 / 100],
         late[kSamples - 1]);
}

struct pair {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  int turn;
  long passes;
};

struct player {
  struct pair* pair;
  int me;
};

static void* plays(void* argument) {
  const struct player* player = argument;
  struct pair* pair = player->pair;
  pthread_mutex_lock(&pair->mutex);
  while (!atomic_load_explicit(&over, memory_order_relaxed)) {
    while (pair->turn != player->me && !atomic_load_explicit(&over, memory_order_relaxed)) {
      pthread_cond_wait(&pair->changed, &pair->mutex);
    }
    pair->turn = !player->me;
    ++pair->passes;
    pthread_cond_signal(&pair->changed);
  }
  pthread_cond_broadcast(&pair->changed);
  pthread_mutex_unlock(&pair->mutex);
  return NULL;
}

static void bench_pairs(int count) {
  static struct pair pairs[kMostThreads / 2];
  static struct player players[kMostThreads];
  pthread_t threads[kMostThreads];
  const double begin = now_ns();
  for (int i = 0; i < 2 * count; ++i) {
    struct pair* pair = &pairs[i / 2];
    if (i % 2 == 0) {
      pthread_mutex_init(&pair->mutex, NULL);
      pthread_cond_init(&pair->changed, NULL);
    }
    players[i] = (struct player){pair, i % 2};
    start(&threads[i], plays, &players[i]);
  }
  usleep(kPairMs * 1000);
  atomic_store(&over, 1);
  for (int i = 0; i < count; ++i) {
    pthread_mutex_lock(&pairs[i].mutex);
    pthread_cond_broadcast(&pairs[i].changed);
    pthread_mutex_unlock(&pairs[i].mutex);
  }
  for (int i = 0; i < 2 * count; ++i) pthread_join(threads[i], NULL);
  long passes = 0;
  for (int i = 0; i < count; ++i) passes += pairs[i].passes;
  printf("pass=%.1f\n", (now_ns() - begin) / (passes > 0 ? passes : 1));
}

// Each stage hands a token to the next through a bounded buffer of its own.
struct channel {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  int held;
};
static struct channel channels[kStages];

static void put(struct channel* c) {
  pthread_mutex_lock(&c->mutex);
  while (c->held == 16) pthread_cond_wait(&c->changed, &c->mutex);
  ++c->held;
  pthread_cond_broadcast(&c->changed);
  pthread_mutex_unlock(&c->mutex);
}

static void get(struct channel* c) {
  pthread_mutex_lock(&c->mutex);
  while (c->held == 0) pthread_cond_wait(&c->changed, &c->mutex);
  --c->held;
  pthread_cond_broadcast(&c->changed);
  pthread_mutex_unlock(&c->mutex);
}

static void* works(void* argument) {
  const intptr_t stage = (intptr_t)argument;
  for (int i = 0; i < kItems; ++i) {
    if (stage > 0) get(&channels[stage - 1]);
    atomic_fetch_add(&sink, compute(100 * 1000, i));
    if (stage < kStages - 1) put(&channels[stage]);
  }
  return NULL;
}

static void bench_pipeline(void) {
  pthread_t threads[kStages];
  for (int i = 0; i < kStages; ++i) {
    pthread_mutex_init(&channels[i].mutex, NULL);
    pthread_cond_init(&channels[i].changed, NULL);
  }
  const double begin = now_ns();
  for (intptr_t i = 0; i < kStages; ++i) start(&threads[i], works, (void*)i);
  for (int i = 0; i < kStages; ++i) pthread_join(threads[i], NULL);
  printf("item=%.0f\n", (now_ns() - begin) / kItems);
}

static struct {
  pthread_mutex_t mutex;
  pthread_cond_t wanted, go_on, done;
  atomic_int asks, stopped, ends;
  int threads, stops_wanted, stops_done, times_let_go;
} world = {.mutex = PTHREAD_MUTEX_INITIALIZER,
           .wanted = PTHREAD_COND_INITIALIZER,
           .go_on = PTHREAD_COND_INITIALIZER,
           .done = PTHREAD_COND_INITIALIZER};

static void* computes_and_stops(void* argument) {
  while (!atomic_load(&world.ends)) {
    atomic_fetch_add(&sink, compute(1000, (uintptr_t)&argument));
    if (!atomic_load(&world.asks)) continue;
    pthread_mutex_lock(&world.mutex);
    if (atomic_load(&world.asks)) {
      const int times = world.times_let_go;
      atomic_fetch_add(&world.stopped, 1);
      while (world.times_let_go == times) pthread_cond_wait(&world.go_on, &world.mutex);
    }
    pthread_mutex_unlock(&world.mutex);
  }
  return NULL;
}

static void* stops_the_world(void* argument) {
  (void)argument;
  for (int i = 1; i <= kStops; ++i) {
    pthread_mutex_lock(&world.mutex);
    while (world.stops_wanted < i) pthread_cond_wait(&world.wanted, &world.mutex);
    pthread_mutex_unlock(&world.mutex);
    atomic_store(&world.stopped, 0);
    atomic_store(&world.asks, 1);
    for (long pause = 10000; atomic_load(&world.stopped) < world.threads;) {
      const struct timespec time = {0, pause};
      nanosleep(&time, NULL);
      if (pause < 1000000) pause *= 2;
    }
    pthread_mutex_lock(&world.mutex);
    atomic_store(&world.asks, 0);
    ++world.times_let_go;
    pthread_cond_broadcast(&world.go_on);
    pthread_mutex_unlock(&world.mutex);
    pthread_mutex_lock(&world.mutex);
    world.stops_done = i;
    pthread_cond_signal(&world.done);
    pthread_mutex_unlock(&world.mutex);
  }
  return NULL;
}

static void bench_stops(int count) {
  pthread_t stopper;
  pthread_t threads[kMostThreads];
  world.threads = count;
  start(&stopper, stops_the_world, NULL);
  for (int i = 0; i < count; ++i) start(&threads[i], computes_and_stops, NULL);
  double waited = 0;
  for (int i = 1; i <= kStops; ++i) {
    atomic_fetch_add(&sink, compute(100000, (uintptr_t)&waited));
    const double begin = now_ns();
    pthread_mutex_lock(&world.mutex);
    world.stops_wanted = i;
    pthread_cond_signal(&world.wanted);
    while (world.stops_done < i) pthread_cond_wait(&world.done, &world.mutex);
    pthread_mutex_unlock(&world.mutex);
    waited += now_ns() - begin;
  }
  atomic_store(&world.ends, 1);
  pthread_join(stopper, NULL);
  for (int i = 0; i < count; ++i) pthread_join(threads[i], NULL);
  printf("stop=%.0f\n", waited / kStops);
}

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "";
  const long count = argc > 2 ? strtol(argv[2], NULL, 10) : 2;
  if (count < 1 || count > kMostThreads / 2) {
    fprintf(stderr, "cores_bench: give 1 to %d\n", kMostThreads / 2);
    return 2;
  }
  if (strcmp(what, "cpu") == 0) {
    bench_cpu((int)count);
  } else if (strcmp(what, "hogs") == 0) {
    bench_hogs((int)count);
  } else if (strcmp(what, "pairs") == 0) {
    bench_pairs((int)count);
  } else if (strcmp(what, "stops") == 0) {
    bench_stops((int)count);
  } else if (strcmp(what, "pipeline") == 0) {
    bench_pipeline();
  } else {
    fprintf(stderr, "usage: cores_bench cpu N | hogs N | pairs N | stops N | pipeline\n");
    return 2;
  }
  return 0;
}
