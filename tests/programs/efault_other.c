// Bad pointers given to system calls of time, signals, threads and processes: -1 with EFAULT, never
// a crash.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>

#include "check.h"

#define EXPECT_EFAULT(...) CHECK_ERRNO(EFAULT, syscall(__VA_ARGS__))

static void check_time(void* bad) {
  EXPECT_EFAULT(SYS_nanosleep, bad, NULL);
  EXPECT_EFAULT(SYS_clock_nanosleep, (long)CLOCK_REALTIME, 0L, bad, NULL);
  EXPECT_EFAULT(SYS_clock_gettime, (long)CLOCK_PROCESS_CPUTIME_ID, bad);
  EXPECT_EFAULT(SYS_setitimer, (long)ITIMER_VIRTUAL, bad, NULL);
  EXPECT_EFAULT(SYS_getitimer, (long)ITIMER_VIRTUAL, bad);
  EXPECT_EFAULT(SYS_timer_create, (long)CLOCK_MONOTONIC, bad, bad);
  int fd = timerfd_create(CLOCK_MONOTONIC, 0);
  CHECK_OK(fd);
  EXPECT_EFAULT(SYS_timerfd_settime, fd, 0L, bad, NULL);
  EXPECT_EFAULT(SYS_timerfd_gettime, fd, bad);
  CHECK_OK(close(fd));
}

static void check_signals(void* bad) {
  sigset_t set;
  sigemptyset(&set);
  EXPECT_EFAULT(SYS_rt_sigprocmask, (long)SIG_BLOCK, bad, NULL, 8L);
  EXPECT_EFAULT(SYS_rt_sigprocmask, (long)SIG_BLOCK, NULL, bad, 8L);
  CHECK_ERRNO(EINVAL, syscall(SYS_rt_sigprocmask, (long)SIG_BLOCK, &set, NULL, 4L));
  EXPECT_EFAULT(SYS_rt_sigaction, (long)SIGUSR2, bad, NULL, 8L);
  EXPECT_EFAULT(SYS_rt_sigaction, (long)SIGUSR2, NULL, bad, 8L);
  CHECK_ERRNO(EINVAL, syscall(SYS_rt_sigaction, (long)SIGUSR2, NULL, NULL, 4L));
  EXPECT_EFAULT(SYS_rt_sigpending, bad, 8L);
  EXPECT_EFAULT(SYS_rt_sigtimedwait, bad, NULL, NULL, 8L);
  EXPECT_EFAULT(SYS_rt_sigtimedwait, &set, NULL, bad, 8L);
  EXPECT_EFAULT(SYS_rt_sigsuspend, bad, 8L);
  EXPECT_EFAULT(SYS_sigaltstack, bad, NULL);
  EXPECT_EFAULT(SYS_sigaltstack, NULL, bad);
  EXPECT_EFAULT(SYS_rt_sigqueueinfo, getpid(), (long)SIGUSR2, bad);
  EXPECT_EFAULT(SYS_rt_tgsigqueueinfo, getpid(), gettid(), (long)SIGUSR2, bad);
  EXPECT_EFAULT(SYS_signalfd4, -1L, bad, 8L, 0L);
}

static void check_processes(void* bad) {
  EXPECT_EFAULT(SYS_execve, bad, NULL, NULL);
  EXPECT_EFAULT(SYS_execve, "/bin/true", bad, NULL);
  EXPECT_EFAULT(SYS_uname, bad);
  EXPECT_EFAULT(SYS_getcwd, bad, 100L);
  EXPECT_EFAULT(SYS_getrlimit, (long)RLIMIT_NOFILE, bad);
  EXPECT_EFAULT(SYS_getrusage, (long)RUSAGE_SELF, bad);
  EXPECT_EFAULT(SYS_prctl, (long)PR_GET_NAME, bad);
  EXPECT_EFAULT(SYS_sched_getaffinity, 0L, 128L, bad);
  EXPECT_EFAULT(SYS_clone3, bad, 64L);
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) _exit(5);
  siginfo_t info;
  CHECK_OK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT));
  EXPECT_EFAULT(SYS_waitid, (long)P_PID, child, bad, (long)(WEXITED | WNOWAIT), NULL);
  EXPECT_EFAULT(SYS_wait4, child, bad, 0L, NULL);
  CHECK_ERRNO(ECHILD, wait(NULL));  // it was reaped all the same, as Linux does
}

static void* body(void* argument) {
  void* bad[] = {(void*)8, argument, (void*)-4096L, (void*)0x800000000000L};
  for (int i = 0; i < 4; ++i) {
    check_time(bad[i]);
    check_signals(bad[i]);
    check_processes(bad[i]);
  }
  return argument;
}

int main(void) {
  char* pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(pages != MAP_FAILED);
  CHECK_OK(mprotect(pages + 4096, 4096, PROT_NONE));
  join_thread(start_thread(body, pages + 4096));
  pass("in a thread");
  body(pages + 4096);
  pass("in the main thread");
  return 0;
}
