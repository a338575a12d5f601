// What an SA_SIGINFO handler is told: number, code, sender, value, and a context that fits.
#include <ucontext.h>

#include "check.h"

static volatile siginfo_t last;
static volatile sig_atomic_t handled;
static volatile int context_fits;
static char notes[8];
static volatile pthread_t handled_by;

static void on_signal(int number, siginfo_t* info, void* context) {
  CHECK_EQ(number, info->si_signo);
  last = *info;
  handled_by = pthread_self();
  // The interrupted thread's stack pointer is in the neighbourhood of this frame.
  ucontext_t* u = context;
  uintptr_t sp = (uintptr_t)u->uc_mcontext.gregs[REG_RSP],
            here = (uintptr_t)__builtin_frame_address(0);
  context_fits = sp > here && sp - here < 64 * 1024;
  context_fits &= !sigismember(&u->uc_sigmask, SIGUSR1);
  sigset_t now;
  pthread_sigmask(SIG_SETMASK, NULL, &now);
  context_fits &= sigismember(&now, number);
  ++handled;
}

static void expect(int number, int code) {
  for (int64_t begin = mono_ns(); !handled;) {
    CHECK(mono_ns() - begin < MS(kBoundMs));
    usleep(500);
  }
  handled = 0;
  CHECK_EQ(number, last.si_signo);
  CHECK_EQ(code, last.si_code);
  CHECK(context_fits);
}

static void* body(void* argument) {
  CHECK_RC(pthread_kill(pthread_self(), SIGUSR1));
  expect(SIGUSR1, SI_TKILL);
  CHECK_EQ(getpid(), last.si_pid);
  CHECK_EQ(getuid(), last.si_uid);
  CHECK(pthread_equal(handled_by, pthread_self()));

  CHECK_RC(raise(SIGUSR2));
  expect(SIGUSR2, SI_TKILL);
  CHECK(pthread_equal(handled_by, pthread_self()));

  CHECK_OK(kill(getpid(), SIGUSR1));
  expect(SIGUSR1, SI_USER);
  CHECK_EQ(getpid(), last.si_pid);

  CHECK_OK(sigqueue(getpid(), SIGUSR2, (union sigval){.sival_ptr = notes}));
  expect(SIGUSR2, SI_QUEUE);
  CHECK(last.si_value.sival_ptr == notes);
  CHECK_EQ(getpid(), last.si_pid);

  siginfo_t own;
  memset(&own, 0, sizeof own);
  own.si_code = -70;
  own.si_value.sival_int = 55;
  CHECK_OK(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGUSR1, &own));
  expect(SIGUSR1, -70);
  CHECK_EQ(55, last.si_value.sival_int);
  CHECK(pthread_equal(handled_by, pthread_self()));
  return argument;
}

int main(void) {
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO}, old;
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  CHECK_OK(sigaction(SIGUSR2, &action, NULL));
  CHECK_OK(sigaction(SIGUSR2, NULL, &old));
  CHECK(old.sa_sigaction == on_signal);
  CHECK_EQ(SA_SIGINFO, old.sa_flags & ~0x04000000);  // less SA_RESTORER
  for (int i = 0; i < 5; ++i) join_thread(start_thread(body, NULL));
  pass("in a thread");
  body(NULL);
  pass("in the main thread");

  pid_t parent = getpid(), child = fork();
  CHECK_OK(child);
  if (child == 0) {
    CHECK_OK(kill(parent, SIGUSR1));
    _exit(0);
  }
  expect(SIGUSR1, SI_USER);
  CHECK_EQ(child, last.si_pid);
  CHECK_EXITED(0, child);
  pass("from another process");

  CHECK_ERRNO(EINVAL, sigaction(SIGKILL, &action, NULL));
  CHECK_ERRNO(EINVAL, sigaction(SIGSTOP, &action, NULL));
  CHECK_ERRNO(EINVAL, sigaction(0, &action, NULL));
  CHECK_ERRNO(EINVAL, sigaction(65, NULL, &old));
  CHECK_ERRNO(EINVAL, kill(getpid(), 100));
  CHECK_ERRNO(ESRCH, kill(0x3fffffff, 0));
  pass("bad arguments");
  return 0;
}
