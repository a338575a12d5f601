// Waits for words in memory that two processes share: their time limits, signals and cancellation,
// with wakes from the other process on the way; a crowd woken at once; and fork while others wait.
#include <sys/mman.h>

#include "check.h"
#include "futex.h"

enum { kPosts = 3000, kTakers = 3, kCrowd = 2500 };

struct shared {
  sem_t tokens, back;
  uint32_t word;
  int all_posted;
};

static struct shared* shared;
static pid_t waiting;
static volatile sig_atomic_t signals;

static void on_signal(int number) {
  (void)number;
  ++signals;
}

static void expires(void) {
  const int64_t begin = mono_ns();
  const struct timespec limit = after_ns(CLOCK_MONOTONIC, MS(20));
  CHECK_ERRNO(ETIMEDOUT, sem_clockwait(&shared->tokens, CLOCK_MONOTONIC, &limit));
  CHECK_BETWEEN(MS(20), mono_ns() - begin, MS(kBoundMs));
  const struct timespec past = {0, 0};
  CHECK_ERRNO(ETIMEDOUT, sem_timedwait(&shared->tokens, &past));
  CHECK_ERRNO(EAGAIN, futex(&shared->word, FUTEX_WAIT, 1, NULL, NULL, 0));
  pass("a wait ends with its time limit, or does not begin");
}

static void* takes(void* argument) {
  long* taken = argument;
  while (!__atomic_load_n(&shared->all_posted, __ATOMIC_SEQ_CST)) {
    const struct timespec limit = after_ns(CLOCK_MONOTONIC, US(50));
    if (sem_clockwait(&shared->tokens, CLOCK_MONOTONIC, &limit) == 0) {
      ++*taken;
    } else {
      CHECK_EQ(ETIMEDOUT, errno);
    }
  }
  while (sem_trywait(&shared->tokens) == 0) ++*taken;
  return argument;
}

static void loses_no_token(void) {
  long taken[kTakers] = {0};
  pthread_t takers[kTakers];
  for (int i = 0; i < kTakers; ++i) takers[i] = start_thread(takes, &taken[i]);
  const pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    for (int i = 0; i < kPosts; ++i) {
      CHECK_OK(sem_post(&shared->tokens));
      if (i % 4 == 0) usleep(60);
    }
    _exit(0);
  }
  CHECK_EXITED(0, child);
  __atomic_store_n(&shared->all_posted, 1, __ATOMIC_SEQ_CST);
  long all = 0;
  for (int i = 0; i < kTakers; ++i) {
    join_thread(takers[i]);
    all += taken[i];
  }
  CHECK_EQ(kPosts, all);
  pass("a token that comes with the time limit is not lost");
}

// Its result, or -errno.
static void* waits_for_word(void* argument) {
  (void)argument;
  __atomic_store_n(&waiting, gettid(), __ATOMIC_SEQ_CST);
  const long result = futex(&shared->word, FUTEX_WAIT, 0, NULL, NULL, 0);
  return (void*)(result == 0 ? 0 : -(intptr_t)errno);
}

static void wake_from_child(int count) {
  const pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    const int64_t end = mono_ns() + MS(kBoundMs);
    while (count > 0 && mono_ns() < end) {
      count -= (int)futex(&shared->word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
      usleep(1000);
    }
    _exit(count);
  }
  CHECK_EXITED(0, child);
}

static void is_signalled(void) {
  struct sigaction action = {.sa_handler = on_signal};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  pthread_t thread = start_thread(waits_for_word, NULL);
  settle_blocked(&waiting);
  CHECK_RC(pthread_kill(thread, SIGUSR1));
  CHECK_EQ(-EINTR, (intptr_t)join_thread(thread));

  action.sa_flags = SA_RESTART;
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  thread = start_thread(waits_for_word, NULL);
  settle_blocked(&waiting);
  CHECK_RC(pthread_kill(thread, SIGUSR1));
  while (signals < 2) settle();
  wake_from_child(1);
  CHECK_EQ(0, (intptr_t)join_thread(thread));
  pass("a signal ends a wait, or interrupts it");
}

static void* waits_for_token(void* argument) {
  __atomic_store_n(&waiting, gettid(), __ATOMIC_SEQ_CST);
  CHECK_OK(sem_wait(&shared->tokens));
  return argument;
}

static void is_cancelled(void) {
  const pthread_t thread = start_thread(waits_for_token, NULL);
  settle_blocked(&waiting);
  CHECK_RC(pthread_cancel(thread));
  CHECK(join_thread(thread) == PTHREAD_CANCELED);
  CHECK_OK(sem_post(&shared->tokens));
  CHECK_OK(sem_trywait(&shared->tokens));
  pass("who is cancelled takes no token");
}

static void wakes_a_crowd(void) {
  static pthread_t crowd[kCrowd];
  pthread_attr_t small;
  CHECK_RC(pthread_attr_init(&small));
  CHECK_RC(pthread_attr_setstacksize(&small, 64 * 1024));
  for (int i = 0; i < kCrowd; ++i) {
    CHECK_RC(pthread_create(&crowd[i], &small, waits_for_word, NULL));
  }
  wake_from_child(kCrowd);
  for (int i = 0; i < kCrowd; ++i) CHECK_EQ(0, (intptr_t)join_thread(crowd[i]));
  pass("a crowd is woken by another process");
}

static void* answers(void* argument) {
  sem_take(&shared->tokens);
  CHECK_OK(sem_post(&shared->back));
  return argument;
}

static void forks_while_others_wait(void) {
  const pthread_t ours = start_thread(waits_for_word, NULL);
  settle_blocked(&waiting);
  const pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    const pthread_t theirs = start_thread(answers, NULL);
    settle();
    CHECK_OK(sem_post(&shared->tokens));
    sem_take(&shared->back);
    join_thread(theirs);
    _exit(0);
  }
  CHECK_EXITED(0, child);
  wake_from_child(1);
  CHECK_EQ(0, (intptr_t)join_thread(ours));
  pass("a child waits on its own, and its parent goes on");
}

int main(void) {
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(shared != MAP_FAILED);
  CHECK_OK(sem_init(&shared->tokens, 1, 0));
  CHECK_OK(sem_init(&shared->back, 1, 0));
  be_threaded();
  expires();
  loses_no_token();
  is_signalled();
  is_cancelled();
  wakes_a_crowd();
  forks_while_others_wait();
  return 0;
}
