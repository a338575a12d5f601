// No memory is left: what needs none goes on working, what needs some says so, and nothing dies.
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "check.h"

enum { kThreads = 40 };

static struct rlimit before;

// Takes all of the address space, the last pages one by one.
static void use_up_memory(void) {
  CHECK_OK(getrlimit(RLIMIT_AS, &before));
  const struct rlimit little = {64 << 20, before.rlim_max};
  CHECK_OK(setrlimit(RLIMIT_AS, &little));
  for (size_t size = 16 << 20; size >= 4096; size /= 2) {
    while (mmap(NULL, size, PROT_NONE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0) != MAP_FAILED) {
    }
  }
}

static void give_memory_back(void) { CHECK_OK(setrlimit(RLIMIT_AS, &before)); }

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int arrived;
static int exhausted;

static void* needs_no_memory(void* argument) {
  pthread_mutex_lock(&mutex);
  ++arrived;
  pthread_cond_broadcast(&changed);
  while (!exhausted) pthread_cond_wait(&changed, &mutex);
  pthread_mutex_unlock(&mutex);

  const int* ends = argument;
  char byte = 'x';
  for (int round = 0; round < 5; ++round) {
    const struct timespec pause = {0, 1000000};
    CHECK_OK(nanosleep(&pause, NULL));
    CHECK_EQ(1, write(ends[1], &byte, 1));
    struct pollfd ready = {ends[0], POLLIN, 0};
    CHECK_EQ(1, poll(&ready, 1, 10000));
    CHECK_EQ(1, read(ends[0], &byte, 1));
    CHECK_EQ(0, poll(&ready, 1, 1));
    pthread_mutex_lock(&mutex);
    const struct timespec deadline = {time(NULL) - 1, 0};
    CHECK_EQ(ETIMEDOUT, pthread_cond_timedwait(&changed, &mutex, &deadline));
    pthread_mutex_unlock(&mutex);
  }
  return NULL;
}

int main(void) {
  pthread_t thread;
  use_up_memory();
  CHECK_EQ(EAGAIN, pthread_create(&thread, NULL, do_nothing, NULL));
  CHECK_EQ(EAGAIN, pthread_create(&thread, NULL, do_nothing, NULL));
  give_memory_back();

  static int pipes[kThreads][2];
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) {
    CHECK_OK(pipe(pipes[i]));
    threads[i] = start_thread(needs_no_memory, pipes[i]);
  }
  pthread_mutex_lock(&mutex);
  while (arrived < kThreads) pthread_cond_wait(&changed, &mutex);
  use_up_memory();
  exhausted = 1;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
  CHECK_EQ(EAGAIN, pthread_create(&thread, NULL, do_nothing, NULL));
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  give_memory_back();
  CHECK_RC(pthread_create(&thread, NULL, do_nothing, NULL));
  join_thread(thread);
  puts("memory exhausted");
  return 0;
}
