// A filter of system calls comes while threads wait for words that two processes share. It ends the
// process for calls that have nothing to do with that.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "check.h"

enum { kThreads = 8 };

static sem_t* tokens;
static pid_t waiting;

static void forbid_rings(void) {
  struct sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, SYS_io_uring_setup, 0, 2),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, SYS_io_uring_register, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog fprog = {sizeof program / sizeof program[0], program};
  CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  CHECK_OK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &fprog));
}

static void* takes(void* argument) {
  __atomic_store_n(&waiting, gettid(), __ATOMIC_SEQ_CST);
  CHECK_OK(sem_wait(tokens));
  return argument;
}

static void* takes_in_time(void* argument) {
  sem_take(tokens);
  return argument;
}

static void* waits_in_vain(void* argument) {
  const struct timespec limit = after_ns(CLOCK_MONOTONIC, MS(300));
  __atomic_store_n(&waiting, gettid(), __ATOMIC_SEQ_CST);
  CHECK_ERRNO(ETIMEDOUT, sem_clockwait(argument, CLOCK_MONOTONIC, &limit));
  return argument;
}

static void post_from_child(int count) {
  const pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    while (count-- > 0) CHECK_OK(sem_post(tokens));
    _exit(0);
  }
  CHECK_EXITED(0, child);
}

int main(void) {
  tokens =
      mmap(NULL, 2 * sizeof *tokens, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(tokens != MAP_FAILED);
  CHECK_OK(sem_init(tokens, 1, 0));
  sem_t* const none = tokens + 1;
  CHECK_OK(sem_init(none, 1, 0));
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) {
    threads[i] = start_thread(i % 2 == 0 ? takes : takes_in_time, NULL);
    if (i % 2 == 0) settle_blocked(&waiting);
  }
  const pthread_t in_vain = start_thread(waits_in_vain, none);
  settle_blocked(&waiting);
  forbid_rings();
  join_thread(in_vain);
  pass("a wait's limit that began before the filter ends it");
  post_from_child(kThreads);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  pass("who waited before the filter is woken after it");

  const struct timespec soon = after_ns(CLOCK_MONOTONIC, MS(5));
  CHECK_ERRNO(ETIMEDOUT, sem_clockwait(tokens, CLOCK_MONOTONIC, &soon));
  const pthread_t thread = start_thread(takes, NULL);
  settle_blocked(&waiting);
  post_from_child(1);
  join_thread(thread);
  pass("and who waits under it");
  return 0;
}
