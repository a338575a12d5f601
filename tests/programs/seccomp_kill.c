// A filter that kills the thread for a call ends a process that has one thread (again).
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "check.h"

static void install(uint32_t action) {
  struct sock_filter instructions[] = {
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr)},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_sysfs},
      {BPF_RET | BPF_K, 0, 0, action},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
  };
  struct sock_fprog program = {4, instructions};
  CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  CHECK_OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

static void is_killed(uint32_t action) {
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    be_threaded();
    install(action);
    be_threaded();
    syscall(SYS_sysfs, 3);
    _exit(1);
  }
  CHECK_KILLED(SIGSYS, child);
}

int main(void) {
  be_threaded();
  is_killed(SECCOMP_RET_KILL_THREAD);
  is_killed(SECCOMP_RET_KILL_PROCESS);
  pass("a forbidden call");
  return 0;
}
