// A filter that raises SIGSYS for a call: the handler sees which, and its registers take the
// result, however the call is made. It may wait, and leave by a jump.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/times.h>
#include <sys/ucontext.h>

#include "check.h"

enum { kData = 42, kResult = 4711 };

static int file;
static __thread volatile int handled;
static int jumps;
static sigjmp_buf out;

static void install(int number) {
  struct sock_filter instructions[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP | kData),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof instructions / sizeof instructions[0], instructions};
  CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  CHECK_OK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program));
}

static void on_sigsys(int number, siginfo_t* info, void* context) {
  ucontext_t* frame = context;
  CHECK_EQ(SIGSYS, number);
  CHECK_EQ(1 /* SYS_SECCOMP */, info->si_code);
  CHECK_EQ(kData, info->si_errno);
  CHECK_EQ(AUDIT_ARCH_X86_64, info->si_arch);
  CHECK_EQ(info->si_syscall, frame->uc_mcontext.gregs[REG_RAX]);
  handled = info->si_syscall;
  const struct timespec pause = {0, 1000000};
  nanosleep(&pause, NULL);
  if (jumps) siglongjmp(out, 1);
  frame->uc_mcontext.gregs[REG_RAX] = kResult;
}

static void* makes_calls(void* argument) {
  struct tms t;
  CHECK_EQ(kResult, times(&t));
  CHECK_EQ(SYS_times, handled);
  CHECK_EQ(kResult, syscall(SYS_times, &t));
  CHECK_EQ(kResult, flock(file, LOCK_EX));
  CHECK_EQ(SYS_flock, handled);
  CHECK_EQ(kResult, syscall(SYS_flock, file, LOCK_EX));
  return argument;
}

static void* jumps_out(void* argument) {
  struct tms t;
  for (volatile int i = 0; i < 3; ++i) {
    if (sigsetjmp(out, 1) == 0) {
      if (i == 1) {
        flock(file, LOCK_EX);
      } else {
        times(&t);
      }
      FAIL("the call came back");
    }
    CHECK_EQ(i == 1 ? SYS_flock : SYS_times, handled);
    be_threaded();
  }
  return argument;
}

static void dies(int how) {
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    be_threaded();
    struct tms t;
    if (how == 0) {
      sigset_t set;
      CHECK_OK(sigemptyset(&set));
      CHECK_OK(sigaddset(&set, SIGSYS));
      CHECK_RC(pthread_sigmask(SIG_BLOCK, &set, NULL));
    } else {
      CHECK(signal(SIGSYS, how == 1 ? SIG_IGN : SIG_DFL) != SIG_ERR);
    }
    times(&t);
    _exit(1);
  }
  CHECK_KILLED(SIGSYS, child);
}

int main(void) {
  be_threaded();
  file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  CHECK_OK(file);
  const struct sigaction action = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO | SA_NODEFER};
  CHECK_OK(sigaction(SIGSYS, &action, NULL));
  install(SYS_times);
  install(SYS_flock);
  makes_calls(NULL);
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i) threads[i] = start_thread(makes_calls, NULL);
  for (int i = 0; i < 4; ++i) join_thread(threads[i]);
  pass("a result from the handler");
  jumps = 1;
  join_thread(start_thread(jumps_out, NULL));
  pass("a jump out of the handler");
  for (int how = 0; how < 3; ++how) dies(how);
  pass("who does not take it");
  return 0;
}
