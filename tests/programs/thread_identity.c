// Every thread has one pthread_t and one tid of its own, stable across blocking calls; the process
// id is common, and the main thread's tid is the process id.
#include <sys/prctl.h>

#include "check.h"

enum { kThreads = 200 };

struct who {
  pthread_t self;
  pid_t tid, pid, parent;
};

static pthread_barrier_t barrier;

static void* body(void* argument) {
  struct who* who = argument;
  who->self = pthread_self();
  who->tid = gettid();
  who->pid = getpid();
  who->parent = getppid();
  pthread_barrier_wait(&barrier);
  CHECK_EQ(who->tid, gettid());
  CHECK_EQ(who->tid, syscall(SYS_gettid));
  CHECK(pthread_equal(who->self, pthread_self()));
  CHECK_EQ(who->pid, syscall(SYS_getpid));
  // Taken away and given back, it is still the word that join waits for. Kernels without
  // CONFIG_CHECKPOINT_RESTORE do not tell it.
  pid_t* word = NULL;
  if (prctl(PR_GET_TID_ADDRESS, &word) == 0) {
    CHECK_EQ(who->tid, syscall(SYS_set_tid_address, NULL));
    CHECK_EQ(who->tid, *word);
    CHECK_EQ(who->tid, syscall(SYS_set_tid_address, word));
  }
  return NULL;
}

int main(void) {
  static struct who whos[kThreads];
  pthread_t threads[kThreads];
  CHECK_RC(pthread_barrier_init(&barrier, NULL, kThreads));
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(body, &whos[i]);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);

  for (int i = 0; i < kThreads; ++i) {
    CHECK(pthread_equal(threads[i], whos[i].self));
    CHECK(!pthread_equal(pthread_self(), whos[i].self));
    CHECK(whos[i].tid > 0);
    CHECK(whos[i].tid != getpid());
    for (int k = 0; k < i; ++k) {
      CHECK(!pthread_equal(whos[i].self, whos[k].self));
      CHECK(whos[i].tid != whos[k].tid);
    }
  }
  pass("pthread_self and gettid are unique and stable");

  for (int i = 0; i < kThreads; ++i) {
    CHECK_EQ(getpid(), whos[i].pid);
    CHECK_EQ(getppid(), whos[i].parent);
  }
  CHECK_EQ(getpid(), gettid());
  CHECK(pthread_equal(pthread_self(), pthread_self()));
  pass("the process is common");

  CHECK_OK(tgkill(getpid(), gettid(), 0));
  CHECK_ERRNO(EINVAL, tgkill(getpid(), -1, 0));
  CHECK_ERRNO(ESRCH, tgkill(getpid(), 1, 0));
  pass("tgkill with signal 0 tells who exists");
  return 0;
}
