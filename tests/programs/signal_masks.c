// Each thread has its own signal mask, inherited from its creator; a signal to the process goes to
// a thread that does not block it.
#include "check.h"

static volatile sig_atomic_t handled;
static volatile pthread_t handled_by;
static sem_t go, masked, unmasked;

static void on_signal(int number) {
  (void)number;
  handled_by = pthread_self();
  ++handled;
}

static int is_blocked(int number) {
  sigset_t now;
  CHECK_RC(pthread_sigmask(SIG_SETMASK, NULL, &now));
  return sigismember(&now, number);
}

static void change(int how, int number) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  CHECK_RC(pthread_sigmask(how, &set, NULL));
}

static void* inherits(void* argument) {
  CHECK_EQ(1, is_blocked(SIGUSR2));
  CHECK_EQ(0, is_blocked(SIGUSR1));
  change(SIG_BLOCK, SIGHUP);
  change(SIG_UNBLOCK, SIGUSR2);
  usleep(100);
  CHECK_EQ(1, is_blocked(SIGHUP));
  CHECK_EQ(0, is_blocked(SIGUSR2));
  return argument;
}

static void* blocks_until_told(void* argument) {
  change(SIG_BLOCK, SIGUSR1);
  CHECK_OK(sem_post(&masked));
  sem_take(&go);
  sigset_t pending;
  CHECK_OK(sigpending(&pending));
  CHECK_EQ(1, sigismember(&pending, SIGUSR1));
  CHECK_EQ(0, handled);
  change(SIG_UNBLOCK, SIGUSR1);  // delivered before this returns
  CHECK_EQ(1, handled);
  CHECK(pthread_equal(handled_by, pthread_self()));
  CHECK_OK(sigpending(&pending));
  CHECK_EQ(0, sigismember(&pending, SIGUSR1));
  return argument;
}

static void* the_only_one(void* argument) {
  change(SIG_UNBLOCK, SIGUSR1);
  CHECK_OK(sem_post(&unmasked));
  int64_t begin = mono_ns();
  while (handled < 1) {
    CHECK(mono_ns() - begin < MS(kBoundMs));
    usleep(500);
  }
  CHECK(pthread_equal(handled_by, pthread_self()));
  return argument;
}

int main(void) {
  CHECK_OK(sem_init(&go, 0, 0));
  CHECK_OK(sem_init(&masked, 0, 0));
  CHECK_OK(sem_init(&unmasked, 0, 0));
  struct sigaction action = {.sa_handler = on_signal};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));

  pthread_t threads[5];
  change(SIG_BLOCK, SIGUSR2);
  for (int i = 0; i < 5; ++i) threads[i] = start_thread(inherits, NULL);
  for (int i = 0; i < 5; ++i) join_thread(threads[i]);
  CHECK_EQ(1, is_blocked(SIGUSR2));
  CHECK_EQ(0, is_blocked(SIGHUP));
  pass("inherited, then its own");

  pthread_t thread = start_thread(blocks_until_told, NULL);
  sem_take(&masked);
  CHECK_RC(pthread_kill(thread, SIGUSR1));
  CHECK_RC(pthread_kill(thread, SIGUSR1));  // pending once
  CHECK_OK(sem_post(&go));
  join_thread(thread);
  sigset_t pending;
  CHECK_OK(sigpending(&pending));
  CHECK_EQ(0, sigismember(&pending, SIGUSR1));
  pass("a signal to a thread stays pending there");

  for (int i = 0; i < 10; ++i) {
    handled = 0;
    change(SIG_BLOCK, SIGUSR1);
    thread = start_thread(the_only_one, NULL);
    sem_take(&unmasked);
    CHECK_OK(kill(getpid(), SIGUSR1));
    join_thread(thread);
  }
  pass("a signal to the process goes where it is not blocked");

  handled = 0;
  CHECK_OK(kill(getpid(), SIGUSR1));
  CHECK_EQ(0, handled);
  CHECK_OK(sigpending(&pending));
  CHECK_EQ(1, sigismember(&pending, SIGUSR1));
  join_thread(start_thread(the_only_one, NULL));
  CHECK_EQ(1, handled);
  pass("pending for the process until somebody unblocks it");

  change(SIG_BLOCK, SIGKILL);
  change(SIG_BLOCK, SIGSTOP);
  CHECK_EQ(0, is_blocked(SIGKILL));
  CHECK_EQ(0, is_blocked(SIGSTOP));
  CHECK_EQ(EINVAL, pthread_sigmask(12345, &pending, NULL));
  sigset_t all;
  sigfillset(&all);
  CHECK_RC(pthread_sigmask(SIG_SETMASK, &all, NULL));
  CHECK_EQ(1, is_blocked(SIGTERM));
  CHECK_EQ(1, is_blocked(SIGRTMAX));
  join_thread(start_thread(do_nothing, NULL));
  usleep(100);
  pass("what cannot be blocked");
  return 0;
}
