// fork in a thread, while others hold locks and wait: the child has that one thread, which works,
// makes threads of its own, and exits with its own status.
#include "check.h"

enum { kOthers = 10 };

static pthread_mutex_t contended = PTHREAD_MUTEX_INITIALIZER;
static sem_t stop;
static int idle[2];
static __thread int local = 0;

static void* holds_and_waits(void* argument) {
  char c;
  switch ((intptr_t)argument % 4) {
    case 0:
      CHECK_RC(pthread_mutex_lock(&contended));
      sem_take(&stop);
      CHECK_RC(pthread_mutex_unlock(&contended));
      break;
    case 1:
      sem_take(&stop);
      break;
    case 2:
      CHECK_EQ(0, read(idle[0], &c, 1));
      break;
    default: {
      struct pollfd p = {idle[0], POLLIN, 0};
      CHECK_EQ(1, poll(&p, 1, kBoundMs));
      break;
    }
  }
  return NULL;
}

static void* child_thread(void* argument) {
  char c;
  int* ends = argument;
  CHECK_EQ(1, read(ends[0], &c, 1));
  local = c;
  free(malloc(100000));
  return (void*)(intptr_t)local;
}

static void in_child(int report) {
  CHECK_EQ(42, local);
  CHECK_EQ(getpid(), gettid());
  int ends[2];
  CHECK_OK(pipe(ends));
  pthread_t threads[5];
  for (int i = 0; i < 5; ++i) threads[i] = start_thread(child_thread, ends);
  settle();
  CHECK_EQ(5, write(ends[1], "abcde", 5));
  intptr_t sum = 0;
  for (int i = 0; i < 5; ++i) sum += (intptr_t)join_thread(threads[i]);
  CHECK_EQ('a' + 'b' + 'c' + 'd' + 'e', sum);
  CHECK_EQ(42, local);
  usleep(1000);
  CHECK_EQ(5, write(report, "child", 5));
}

static void* forks(void* argument) {
  local = 42;
  for (int i = 0; i < 5; ++i) {
    int report[2];
    CHECK_OK(pipe(report));
    pid_t child = fork();
    CHECK_OK(child);
    if (child == 0) {
      in_child(report[1]);
      _exit(30 + i);
    }
    CHECK_OK(close(report[1]));
    char text[6] = {0};
    read_all(report[0], text, 5);
    CHECK_STR("child", text);
    CHECK_EQ(0, read(report[0], text, 5));
    CHECK_OK(close(report[0]));
    CHECK_EXITED(30 + i, child);
    CHECK_EQ(42, local);
  }
  return argument;
}

int main(void) {
  CHECK_OK(pipe(idle));
  CHECK_RC(sem_init(&stop, 0, 0));
  pthread_t others[kOthers], forkers[3];
  for (intptr_t i = 0; i < kOthers; ++i) others[i] = start_thread(holds_and_waits, (void*)i);
  settle();
  join_thread(start_thread(forks, NULL));
  pass("fork in a thread while others wait");

  for (int i = 0; i < 3; ++i) forkers[i] = start_thread(forks, NULL);
  for (int i = 0; i < 3; ++i) join_thread(forkers[i]);
  pass("fork in several threads at once");

  for (int i = 0; i < kOthers; ++i) CHECK_OK(sem_post(&stop));
  CHECK_OK(close(idle[1]));
  for (int i = 0; i < kOthers; ++i) join_thread(others[i]);
  pass("the others are undisturbed");
  return 0;
}
