// A process that has given up its privileges has none, whichever kernel thread runs its threads:
// also while one thread keeps its own busy in the kernel.
#include <sys/stat.h>

#include "check.h"

enum { kUser = 54321 };

static char secret[] = "/tmp/credentials_blocked.XXXXXX";
static int stop;

// The parent's kernel thread waits until the child is done.
static void* waits_in_vfork(void* argument) {
  pid_t child = vfork();
  CHECK_OK(child);
  if (child == 0) {
    usleep(150000);
    _exit(0);
  }
  CHECK_EXITED(0, child);
  return argument;
}

static void* looks(void* argument) {
  while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
    CHECK_EQ(kUser, syscall(SYS_geteuid));
    CHECK_ERRNO(EACCES, open(secret, O_RDONLY));
    sched_yield();
  }
  return argument;
}

static void drops_privileges(void) {
  be_threaded();
  CHECK_OK(setgid(kUser));
  CHECK_OK(setuid(kUser));
  pthread_t looking[3];
  for (int i = 0; i < 3; ++i) looking[i] = start_thread(looks, NULL);
  for (int round = 0; round < 3; ++round) {
    pthread_t waiting[5];
    for (int i = 0; i < 5; ++i) waiting[i] = start_thread(waits_in_vfork, NULL);
    for (int i = 0; i < 5; ++i) join_thread(waiting[i]);
  }
  __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
  for (int i = 0; i < 3; ++i) join_thread(looking[i]);
  _exit(0);
}

int main(void) {
  const int fd = mkstemp(secret);
  CHECK_OK(fd);
  CHECK_OK(fchmod(fd, 0600));
  if (getuid() == 0) {
    pid_t child = fork();
    CHECK_OK(child);
    if (child == 0) drops_privileges();
    CHECK_EXITED(0, child);
  }
  CHECK_OK(unlink(secret));
  pass("no privileges are left");
  return 0;
}
