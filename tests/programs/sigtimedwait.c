// sigwaitinfo and sigtimedwait: what they return, timeouts, and interruption by other signals.
#include "check.h"

static sigset_t set;
static volatile sig_atomic_t handled;

static void on_signal(int number) {
  (void)number;
  ++handled;
}

static void* waits_for_info(void* argument) {
  siginfo_t info;
  memset(&info, 0xee, sizeof info);
  CHECK_EQ(SIGUSR1, sigwaitinfo(&set, &info));
  CHECK_EQ(SIGUSR1, info.si_signo);
  CHECK_EQ(SI_USER, info.si_code);  // glibc calls SI_TKILL so here
  CHECK_EQ(getpid(), info.si_pid);
  CHECK_EQ(getuid(), info.si_uid);
  return argument;
}

static void* times_out(void* argument) {
  struct timespec t = from_ns(MS((intptr_t)argument)), zero = {0, 0}, bad = {0, 1000000000};
  siginfo_t info;
  int64_t begin = mono_ns();
  CHECK_ERRNO(EAGAIN, sigtimedwait(&set, &info, &t));
  CHECK_BETWEEN(MS((intptr_t)argument), mono_ns() - begin, MS(10000));
  CHECK_ERRNO(EAGAIN, sigtimedwait(&set, NULL, &zero));
  CHECK_ERRNO(EINVAL, sigtimedwait(&set, NULL, &bad));
  return NULL;
}

static void* is_interrupted(void* argument) {
  CHECK_ERRNO(EINTR, sigwaitinfo(&set, NULL));
  return argument;
}

int main(void) {
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGRTMIN);
  CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
  pthread_t threads[5];

  for (int i = 0; i < 5; ++i) threads[i] = start_thread(waits_for_info, NULL);
  settle();
  for (int i = 0; i < 5; ++i) CHECK_RC(pthread_kill(threads[i], SIGUSR1));
  for (int i = 0; i < 5; ++i) join_thread(threads[i]);
  pass("sigwaitinfo");

  for (intptr_t i = 0; i < 5; ++i) threads[i] = start_thread(times_out, (void*)(i * 9));
  for (int i = 0; i < 5; ++i) join_thread(threads[i]);
  pass("timeouts");

  siginfo_t info;
  struct timespec limit = from_ns(MS(kBoundMs));
  CHECK_OK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 1234}));
  CHECK_EQ(SIGRTMIN, sigtimedwait(&set, &info, &limit));
  CHECK_EQ(SI_QUEUE, info.si_code);
  CHECK_EQ(1234, info.si_value.sival_int);
  pass("a queued value");

  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  CHECK_OK(sigaction(SIGUSR2, &action, NULL));
  pthread_t thread = start_thread(is_interrupted, NULL);
  for (int i = 0; pthread_tryjoin_np(thread, NULL) == EBUSY; ++i) {
    CHECK(i < kBoundMs / 2);
    CHECK_RC(pthread_kill(thread, SIGUSR2));
    usleep(2000);
  }
  CHECK(handled > 0);
  pass("EINTR by another signal");
  return 0;
}
