// A threaded process that dies of a signal leaves the status of that signal, whoever it was sent
// by; and it can be stopped and continued.
#include <sys/resource.h>

#include "check.h"

static int how;
static int* volatile nowhere = NULL;

static void die(void) {
  switch (how) {
    case 0:
      raise(SIGTERM);
      break;
    case 1:
      kill(getpid(), SIGKILL);
      break;
    case 2:
      pthread_kill(pthread_self(), SIGUSR1);
      break;
    case 3:
      abort();
    case 4:
      *nowhere = 1;
      break;
    case 5:
      __builtin_trap();
    case 6:
      kill(getpid(), SIGRTMIN + 2);
      break;
    case 7:
      alarm(1);
      break;
    default:
      tgkill(getpid(), gettid(), SIGQUIT);
      break;
  }
  for (;;) pause();
}

static void* dies(void* argument) {
  usleep(1000);
  die();
  return argument;
}

static void* waits(void* argument) {
  sem_take(argument);
  return NULL;
}

static void run_child(int in_thread) {
  struct rlimit none = {0, 0};
  CHECK_OK(setrlimit(RLIMIT_CORE, &none));
  sem_t never;
  CHECK_OK(sem_init(&never, 0, 0));
  for (int i = 0; i < 3; ++i) start_thread(waits, &never);
  if (in_thread) {
    pthread_t thread = start_thread(dies, NULL);
    pthread_join(thread, NULL);
  } else {
    die();
  }
  _exit(99);
}

static void* sleeps_on(void* argument) {
  for (int i = 0; i < 300; ++i) usleep(1000);
  return argument;
}

int main(void) {
  be_threaded();
  int expected[] = {SIGTERM, SIGKILL,      SIGUSR1, SIGABRT, SIGSEGV,
                    SIGILL,  SIGRTMIN + 2, SIGALRM, SIGQUIT};
  for (int in_thread = 0; in_thread < 2; ++in_thread) {
    for (how = 0; how < 9; ++how) {
      pid_t child = fork();
      CHECK_OK(child);
      if (child == 0) run_child(in_thread);
      CHECK_KILLED(expected[how], child);
    }
    pass(in_thread ? "in a thread" : "in the main thread");
  }

  int report[2];
  CHECK_OK(pipe(report));
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    pthread_t threads[3];
    for (int i = 0; i < 3; ++i) threads[i] = start_thread(sleeps_on, NULL);
    CHECK_EQ(1, write(report[1], "r", 1));
    for (int i = 0; i < 3; ++i) join_thread(threads[i]);
    _exit(7);
  }
  char c;
  read_all(report[0], &c, 1);
  int status;
  CHECK_OK(kill(child, SIGSTOP));
  CHECK_EQ(child, waitpid(child, &status, WUNTRACED));
  CHECK(WIFSTOPPED(status));
  CHECK_EQ(SIGSTOP, WSTOPSIG(status));
  CHECK_OK(kill(child, SIGCONT));
  CHECK_EQ(child, waitpid(child, &status, WCONTINUED));
  CHECK(WIFCONTINUED(status));
  CHECK_EXITED(7, child);
  pass("stopped and continued");

  child = fork();
  CHECK_OK(child);
  if (child == 0) {
    pthread_t thread = start_thread(sleeps_on, NULL);
    CHECK_EQ(1, write(report[1], "r", 1));
    join_thread(thread);
    for (;;) pause();
  }
  read_all(report[0], &c, 1);
  CHECK_OK(kill(child, SIGTERM));
  CHECK_KILLED(SIGTERM, child);
  pass("killed from outside");
  return 0;
}
