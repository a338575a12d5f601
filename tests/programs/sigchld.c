// SIGCHLD: the handler learns which child ended and how, it interrupts a blocking call, and
// SA_NOCLDWAIT leaves no zombies.
#include "check.h"

static volatile sig_atomic_t handled;
static volatile siginfo_t last;

static void on_child(int number, siginfo_t* info, void* context) {
  (void)number;
  (void)context;
  last = *info;
  ++handled;
}

static void* waits(void* argument) {
  sem_take(argument);
  return NULL;
}

static pid_t make_child(int code, int delay_ms) {
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    usleep((useconds_t)delay_ms * 1000);
    if (code < 0) raise(-code);
    _exit(code);
  }
  return child;
}

static void await_handler(void) {
  int64_t begin = mono_ns();
  while (!handled) {
    CHECK(mono_ns() - begin < MS(kBoundMs));
    usleep(1000);
  }
}

static void* forks_and_waits(void* argument) {
  for (int i = 0; i < 10; ++i) CHECK_EXITED(i, make_child(i, 1));
  return argument;
}

int main(void) {
  sem_t stop;
  sigset_t set;
  CHECK_OK(sem_init(&stop, 0, 0));
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  pthread_t other = start_thread(waits, &stop);
  CHECK_RC(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
  struct sigaction action = {.sa_sigaction = on_child, .sa_flags = SA_SIGINFO};
  CHECK_OK(sigaction(SIGCHLD, &action, NULL));

  pid_t child = make_child(13, 0);
  await_handler();
  CHECK_EQ(SIGCHLD, last.si_signo);
  CHECK_EQ(CLD_EXITED, last.si_code);
  CHECK_EQ(child, last.si_pid);
  CHECK_EQ(13, last.si_status);
  CHECK_EXITED(13, child);
  handled = 0;
  child = make_child(-SIGKILL, 0);
  await_handler();
  CHECK_EQ(CLD_KILLED, last.si_code);
  CHECK_EQ(child, last.si_pid);
  CHECK_EQ(SIGKILL, last.si_status);
  CHECK_KILLED(SIGKILL, child);
  pass("what the handler is told");

  int ends[2];
  CHECK_OK(pipe(ends));
  for (int i = 0; i < 5; ++i) {
    // The child may be gone before read is entered: then the next one interrupts it.
    pid_t children[20];
    int made = 0, interrupted = 0;
    handled = 0;
    struct pollfd p = {ends[0], POLLIN, 0};
    while (!interrupted) {
      CHECK(made < 20);
      children[made++] = make_child(0, 20);
      interrupted = poll(&p, 1, 2000) == -1 && errno == EINTR;
    }
    CHECK(handled > 0);
    for (int k = 0; k < made; ++k) CHECK_EXITED(0, children[k]);
  }
  pass("interrupts a blocking call");

  pthread_t threads[5];
  for (int i = 0; i < 5; ++i) threads[i] = start_thread(forks_and_waits, NULL);
  for (int i = 0; i < 5; ++i) join_thread(threads[i]);
  pass("children of several threads");

  action.sa_flags |= SA_NOCLDWAIT;
  CHECK_OK(sigaction(SIGCHLD, &action, NULL));
  child = make_child(5, 1);
  CHECK_ERRNO(ECHILD, TEMP_FAILURE_RETRY(waitpid(child, NULL, 0)));
  CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
  child = make_child(5, 1);
  CHECK_ERRNO(ECHILD, TEMP_FAILURE_RETRY(waitpid(child, NULL, 0)));
  pass("no zombies when not wanted");

  CHECK_OK(sem_post(&stop));
  join_thread(other);
  return 0;
}
