// Preloaded into the programs of a suite, natively and green: every process of theirs has had a
// second thread, so that a green one has activated even if the program never makes a thread.
// Natively it changes nothing.
#include <pthread.h>
#include <signal.h>
#include <stddef.h>

static void* end_at_once(void* argument) { return argument; }

static void have_a_thread(void) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  if (pthread_create(&thread, NULL, end_at_once, NULL) == 0) pthread_join(thread, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

__attribute__((constructor)) static void start(void) {
  have_a_thread();
  pthread_atfork(NULL, NULL, have_a_thread);
}
