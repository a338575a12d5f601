// Filters of system calls: one for a thread alone, with an errno and with a signal for what is
// forbidden; one for all threads; one that was there before the first thread.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "check.h"

static sem_t go, done;
static volatile sig_atomic_t trapped;

// Gives `action` for one system call.
static int filter(int number, unsigned action, unsigned flags) {
  struct sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, action),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog fprog = {sizeof program / sizeof program[0], program};
  CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &fprog);
}

static void on_signal(int number, siginfo_t* info, void* context) {
  (void)number;
  (void)context;
  trapped = info->si_syscall;
}

static void* is_filtered(void* argument) {
  CHECK_ERRNO(EINVAL, syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 1U << 31, NULL));
  CHECK_ERRNO(EFAULT, syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL));
  CHECK_OK(filter(SYS_getpriority, SECCOMP_RET_ERRNO | EXDEV, 0));
  CHECK_OK(filter(SYS_times, SECCOMP_RET_TRAP, 0));
  CHECK_ERRNO(EXDEV, syscall(SYS_getpriority, 2, 0));
  CHECK_OK(sem_post(&done));
  sem_take(&go);
  CHECK_ERRNO(EXDEV, syscall(SYS_getpriority, 2, 0));
  syscall(SYS_times, NULL);
  CHECK_EQ(SYS_times, trapped);
  return argument;
}

static void* tries_sysinfo(void* argument) {
  sem_take(&go);
  CHECK_ERRNO(EXDEV, syscall(SYS_sysinfo, NULL));
  return argument;
}

int main(int argc, char** argv) {
  if (argc > 1) {  // `seccomp_filter NUMBER late` or `early`: forbids one call
    const int late = strcmp(argv[2], "late") == 0;
    if (late) be_threaded();
    const int rc = filter(atoi(argv[1]), SECCOMP_RET_ERRNO | EPERM, 0);
    printf("%d\n", rc == 0 ? 0 : errno);
    fflush(stdout);
    be_threaded();
    return 0;
  }
  be_threaded();
  CHECK_OK(sem_init(&go, 0, 0));
  CHECK_OK(sem_init(&done, 0, 0));
  const struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
  CHECK_OK(sigaction(SIGSYS, &action, NULL));
  pthread_t thread = start_thread(is_filtered, NULL);
  sem_take(&done);
  CHECK_OK(syscall(SYS_getpriority, 2, 0));
  CHECK(syscall(SYS_times, NULL) != -1);
  CHECK_OK(sem_post(&go));
  join_thread(thread);
  pass("a thread alone");

  thread = start_thread(tries_sysinfo, NULL);
  CHECK_OK(filter(SYS_sysinfo, SECCOMP_RET_ERRNO | EXDEV, SECCOMP_FILTER_FLAG_TSYNC));
  CHECK_ERRNO(EXDEV, syscall(SYS_sysinfo, NULL));
  CHECK_OK(sem_post(&go));
  join_thread(thread);
  pass("all threads");

  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    CHECK_OK(filter(SYS_getpriority, SECCOMP_RET_ERRNO | EXDEV, 0));
    be_threaded();
    CHECK_ERRNO(EXDEV, syscall(SYS_getpriority, 2, 0));
    _exit(0);
  }
  CHECK_EXITED(0, child);
  pass("before the first thread");

  // Its children are to be in another namespace: it can have no second thread.
  child = fork();
  CHECK_OK(child);
  if (child == 0) {
    be_threaded();
    if (unshare(CLONE_NEWUSER | CLONE_NEWPID) == -1) _exit(0);  // not allowed here
    const int listener =
        filter(SYS_sysinfo, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
    CHECK_OK(listener);
    CHECK(fcntl(listener, F_GETFD) != -1);
    _exit(0);
  }
  CHECK_EXITED(0, child);
  pass("without a second thread");
  return 0;
}
