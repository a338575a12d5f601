// The ways in which a process with blocked threads ends, and the status that it leaves.
#include "check.h"

static int ends[2];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t sem;
static int report = -1;

static void first_handler(void) { CHECK_EQ(1, write(report, "1", 1)); }
static void second_handler(void) {
  usleep(100);
  CHECK_EQ(1, write(report, "2", 1));
}
static void quick_handler(void) { CHECK_EQ(1, write(report, "q", 1)); }

static void* blocks(void* argument) {
  char c;
  switch ((intptr_t)argument % 6) {
    case 0:
      (void)!read(ends[0], &c, 1);
      break;
    case 1:
      pthread_mutex_lock(&mutex);
      break;
    case 2:
      sem_wait(&sem);
      break;
    case 3:
      sleep(60);
      break;
    case 4:
      poll(NULL, 0, -1);
      break;
    default: {
      pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;
      pthread_mutex_lock(&own);
      for (;;) pthread_cond_wait(&cond, &own);
    }
  }
  return NULL;
}

static void* exits(void* argument) {
  usleep(500);
  if (argument) exit((int)(intptr_t)argument);
  _exit(12);
}

static void run_child(int way) {
  CHECK_OK(pipe(ends));
  CHECK_OK(sem_init(&sem, 0, 0));
  CHECK_RC(pthread_mutex_lock(&mutex));
  CHECK_RC(atexit(first_handler));
  CHECK_RC(atexit(second_handler));
  CHECK_RC(at_quick_exit(quick_handler));
  for (intptr_t i = 0; i < 12; ++i) start_thread(blocks, (void*)i);
  settle();
  switch (way) {
    case 0:
      exit(10);
    case 1:
      pthread_join(start_thread(exits, (void*)11), NULL);
      break;
    case 2:
      pthread_join(start_thread(exits, NULL), NULL);
      break;
    case 3:
      _exit(13);
    case 4:
      quick_exit(14);
    case 5:
      syscall(SYS_exit_group, 15);
      break;
    case 6:
      start_thread(exits, (void*)16);
      pthread_exit(NULL);
    default:
      exit(0x1234 + way);  // only eight bits are kept
  }
}

int main(void) {
  be_threaded();
  const char* names[] = {"exit in the main thread",   "exit in a thread",    "_exit in a thread",
                         "_exit in the main thread",  "quick_exit",          "exit_group",
                         "exit after main has ended", "eight bits of status"};
  const char* handlers[] = {"21", "21", "", "", "q", "", "21", "21"};
  for (int way = 0; way < 8; ++way) {
    int pair[2];
    CHECK_OK(pipe(pair));
    pid_t child = fork();
    CHECK_OK(child);
    if (child == 0) {
      report = pair[1];
      run_child(way);
      _exit(1);
    }
    CHECK_OK(close(pair[1]));
    CHECK_EXITED(way == 7 ? 0x3b : 10 + way, child);
    char text[8] = {0};
    CHECK_EQ(strlen(handlers[way]), read(pair[0], text, sizeof text - 1));
    CHECK_STR(handlers[way], text);
    CHECK_OK(close(pair[0]));
    pass(names[way]);
  }
  return 0;
}
