// A thread that may not read the time stamp counter any more gets SIGSEGV for it, goes on
// otherwise, and the other threads do not notice. Then the same with the only thread of the
// process.
#include <setjmp.h>
#include <sys/prctl.h>

#include "check.h"

enum { kRounds = 200 };

static __thread sigjmp_buf recovery;
static int there[2], back[2];
static int is_obeyed;  // some virtual machines let the counter be read whatever the kernel says

static void on_fault(int number) { siglongjmp(recovery, number); }

static int may_read(void) {
  if (sigsetjmp(recovery, 1) != 0) return 0;
  __builtin_ia32_rdtsc();
  return 1;
}

static void set_mode(int wanted) {
  int mode = 0;
  CHECK_OK(prctl(PR_SET_TSC, wanted, 0, 0, 0));
  CHECK_OK(prctl(PR_GET_TSC, &mode, 0, 0, 0));
  CHECK_EQ(wanted, mode);
}

static void wait_and_switch(void) {
  struct timespec t = {0, 100000};
  CHECK_OK(nanosleep(&t, NULL));
  sched_yield();
}

static void* does_without(void* argument) {
  set_mode(PR_TSC_SIGSEGV);
  for (int i = 0; i < kRounds; ++i) {
    char c;
    CHECK_EQ(1, read(there[0], &c, 1));
    CHECK_EQ(1, write(back[1], &c, 1));
    if (i % 10 == 0) {
      CHECK_EQ(!is_obeyed, may_read());
      wait_and_switch();
    }
  }
  set_mode(PR_TSC_ENABLE);
  CHECK(may_read());
  return argument;
}

int main(void) {
  CHECK_OK(pipe(there));
  CHECK_OK(pipe(back));
  struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
  CHECK_OK(sigaction(SIGSEGV, &action, NULL));
  set_mode(PR_TSC_SIGSEGV);
  is_obeyed = !may_read();
  set_mode(PR_TSC_ENABLE);
  pthread_t thread = start_thread(does_without, NULL);
  for (int i = 0; i < kRounds; ++i) {
    char c = (char)i, came;
    CHECK(may_read());
    CHECK_EQ(1, write(there[1], &c, 1));
    CHECK_EQ(1, read(back[0], &came, 1));
    CHECK_EQ(c, came);
  }
  join_thread(thread);
  pass("one thread of several");

  set_mode(PR_TSC_SIGSEGV);
  for (int i = 0; i < 20; ++i) {
    CHECK_EQ(!is_obeyed, may_read());
    wait_and_switch();
  }
  set_mode(PR_TSC_ENABLE);
  CHECK(may_read());
  pass("the only thread");
  return 0;
}
