// A filter that kills the thread for a call: it ends as a thread does, and the others go on,
// whether it has the filter for itself or they all have it. The last thread takes the process
// along.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/times.h>

#include "check.h"

enum { kComputed = 1 };  // the verdict is in a register

static long install(int number, uint32_t action, unsigned flags, int computed) {
  struct sock_filter instructions[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 3),
      BPF_STMT(BPF_LD | BPF_IMM, action),
      BPF_STMT(BPF_RET | BPF_A, 0),
      BPF_STMT(BPF_RET | BPF_K, action),
      BPF_STMT(BPF_LD | BPF_IMM, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_A, 0),
  };
  if (!computed) instructions[1].jt = 2;
  struct sock_fprog program = {sizeof instructions / sizeof instructions[0], instructions};
  CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static void is_killed(uint32_t action) {
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    be_threaded();
    CHECK_OK(install(SYS_sysfs, action, 0, 0));
    be_threaded();
    syscall(SYS_sysfs, 3);
    _exit(1);
  }
  CHECK_KILLED(SIGSYS, child);
}

static pthread_mutex_t robust;
static int file;

static void* dies_alone(void* argument) {
  CHECK_RC(pthread_mutex_lock(&robust));
  CHECK_OK(install(SYS_sysfs, SECCOMP_RET_KILL_THREAD, 0, argument != NULL));
  syscall(SYS_sysfs, 3);
  FAIL("a forbidden call was made");
}

static void* calls_sysfs(void* argument) {
  CHECK_RC(pthread_mutex_lock(&robust));
  syscall(SYS_sysfs, 3);
  FAIL("a forbidden call was made");
  return argument;
}

static void* calls_times(void* argument) {
  CHECK_RC(pthread_mutex_lock(&robust));
  struct tms t;
  times(&t);
  FAIL("a forbidden call was made");
  return argument;
}

static void* calls_flock(void* argument) {
  CHECK_RC(pthread_mutex_lock(&robust));
  flock(file, LOCK_EX);
  FAIL("a forbidden call was made");
  return argument;
}

// Its end is seen by who joins it, and by who wants its mutex.
static void dies(void* (*function)(void*), void* argument) {
  pthread_t thread = start_thread(function, argument);
  join_thread(thread);
  CHECK_EQ(EOWNERDEAD, pthread_mutex_lock(&robust));
  CHECK_RC(pthread_mutex_consistent(&robust));
  CHECK_RC(pthread_mutex_unlock(&robust));
}

static sem_t go;

static void* lives(void* argument) {
  sem_take(&go);
  return argument;
}

static void* is_left_over(void* argument) {
  pthread_t* first = argument;
  CHECK_RC(pthread_join(*first, NULL));
  be_threaded();
  syscall(SYS_exit, 7);
  return NULL;
}

// The process lives as long as another thread does.
static void first_thread_dies(int with_tsync) {
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    be_threaded();
    static pthread_t self;
    self = pthread_self();
    start_thread(is_left_over, &self);
    CHECK_OK(install(SYS_sysfs, SECCOMP_RET_KILL_THREAD, with_tsync, 0));
    syscall(SYS_sysfs, 3);
    _exit(1);
  }
  CHECK_EXITED(7, child);
}

// Natively the one thread ends. A green process ends, and says so.
static int has_filter_before_first_thread(void) {
  CHECK_OK(install(SYS_sysfs, SECCOMP_RET_KILL_THREAD, 0, 0));
  CHECK_OK(sem_init(&go, 0, 0));
  start_thread(lives, NULL);
  join_thread(start_thread(calls_sysfs, NULL));
  puts("joined");
  return 0;
}

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "early") == 0) return has_filter_before_first_thread();
  be_threaded();
  is_killed(SECCOMP_RET_KILL_THREAD);
  is_killed(SECCOMP_RET_KILL_PROCESS);
  pass("a forbidden call");

  pthread_mutexattr_t attributes;
  CHECK_RC(pthread_mutexattr_init(&attributes));
  CHECK_RC(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST));
  CHECK_RC(pthread_mutex_init(&robust, &attributes));
  CHECK_OK(sem_init(&go, 0, 0));
  file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  CHECK_OK(file);

  dies(dies_alone, NULL);
  pthread_t witness = start_thread(lives, NULL);
  dies(dies_alone, NULL);
  dies(dies_alone, &go);
  pass("a filter of the thread's own");

  CHECK_OK(install(SYS_times, SECCOMP_RET_KILL_THREAD, SECCOMP_FILTER_FLAG_TSYNC, 0));
  dies(calls_times, NULL);
  CHECK_OK(install(SYS_flock, SECCOMP_RET_KILL_THREAD, SECCOMP_FILTER_FLAG_TSYNC, kComputed));
  dies(calls_flock, NULL);
  CHECK_OK(sem_post(&go));
  join_thread(witness);
  pass("a filter of all threads");

  CHECK_OK(install(SYS_sysfs, SECCOMP_RET_KILL_THREAD, 0, 0));
  dies(calls_sysfs, NULL);
  witness = start_thread(lives, NULL);
  dies(calls_sysfs, NULL);
  dies(calls_times, NULL);
  CHECK_OK(sem_post(&go));
  join_thread(witness);
  pass("a filter of the only thread, which has others later");

  first_thread_dies(0);
  first_thread_dies(SECCOMP_FILTER_FLAG_TSYNC);
  pass("the first thread");
  return 0;
}
