// A stop signal that is pending is undone by SIGCONT, and SIGCONT by a stop signal: whether they
// were sent to the process or to a thread, and though they are blocked.
#include "check.h"

static int is_pending(int signal) {
  sigset_t set;
  CHECK_OK(sigpending(&set));
  return sigismember(&set, signal);
}

static void* sends_to_itself(void* unused) {
  CHECK_OK(raise(SIGTTIN));
  CHECK(is_pending(SIGTTIN));
  CHECK_OK(kill(getpid(), SIGCONT));
  CHECK(!is_pending(SIGTTIN));
  CHECK(is_pending(SIGCONT));
  CHECK_OK(raise(SIGTTOU));
  CHECK(!is_pending(SIGCONT));
  return unused;
}

int main(void) {
  sigset_t set;
  sigemptyset(&set);
  const int signals[] = {SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT};
  for (int i = 0; i < 4; ++i) sigaddset(&set, signals[i]);
  CHECK_OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
  pthread_t thread;
  CHECK_RC(pthread_create(&thread, NULL, sends_to_itself, NULL));
  CHECK_RC(pthread_join(thread, NULL));
  pass("sent to a thread");

  for (int i = 0; i < 3; ++i) CHECK_OK(kill(getpid(), signals[i]));
  for (int i = 0; i < 3; ++i) CHECK(is_pending(signals[i]));
  CHECK_OK(kill(getpid(), SIGCONT));
  for (int i = 0; i < 3; ++i) CHECK(!is_pending(signals[i]));
  CHECK(is_pending(SIGCONT));
  CHECK_OK(kill(getpid(), SIGTSTP));
  CHECK(!is_pending(SIGCONT));
  CHECK(is_pending(SIGTSTP));
  pass("sent to the process");

  // As unblocked, with nothing pending: it does not stop.
  CHECK_OK(kill(getpid(), SIGCONT));
  CHECK_OK(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
  pass("nothing is left that stops");
  return 0;
}
