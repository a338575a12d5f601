// setuid and its like change the credentials of all threads, waiting ones included.
#include <grp.h>

#include "check.h"

enum { kThreads = 10, kId = 65534 };

static sem_t changed, ready;
static uid_t uid;
static gid_t gid;

static void* sees_change(void* argument) {
  char c;
  CHECK_OK(sem_post(&ready));
  if (argument) {
    CHECK_EQ(1, read(*(int*)argument, &c, 1));
  } else {
    sem_take(&changed);
  }
  uid_t r, e, s;
  gid_t gr, ge, gs;
  CHECK_OK(getresuid(&r, &e, &s));
  CHECK_OK(getresgid(&gr, &ge, &gs));
  CHECK(r == uid && e == uid && s == uid);
  CHECK(gr == gid && ge == gid && gs == gid);
  CHECK_EQ(uid, syscall(SYS_geteuid));
  return NULL;
}

static void* changes(void* argument) {
  if (getuid() == 0) {
    CHECK_OK(setgroups(0, NULL));
    CHECK_EQ(0, getgroups(0, NULL));
  }
  CHECK_OK(setresgid(gid, gid, gid));
  CHECK_OK(setuid(uid));
  return argument;
}

static void run_child(int in_thread) {
  int ends[2];
  CHECK_OK(pipe(ends));
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(sees_change, i % 2 ? ends : NULL);
  for (int i = 0; i < kThreads; ++i) sem_take(&ready);
  if (in_thread) {
    join_thread(start_thread(changes, NULL));
  } else {
    changes(NULL);
  }
  for (int i = 0; i < kThreads; ++i) {
    CHECK_OK(sem_post(&changed));
    CHECK_EQ(1, write(ends[1], "c", 1));
  }
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  CHECK_EQ(uid, getuid());
  if (uid != 0) CHECK_ERRNO(EPERM, setuid(0));
}

int main(void) {
  be_threaded();
  CHECK_OK(sem_init(&changed, 0, 0));
  CHECK_OK(sem_init(&ready, 0, 0));
  uid = getuid() == 0 ? kId : getuid();
  gid = getuid() == 0 ? kId : getgid();
  for (int in_thread = 0; in_thread < 2; ++in_thread) {
    pid_t child = fork();
    CHECK_OK(child);
    if (child == 0) {
      run_child(in_thread);
      _exit(0);
    }
    CHECK_EXITED(0, child);
    pass(in_thread ? "changed by a thread" : "changed by the main thread");
  }
  return 0;
}
