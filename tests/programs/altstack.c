// sigaltstack belongs to the thread: an SA_ONSTACK handler runs on the alternate stack of the
// thread it interrupts, be it running, blocked, or out of stack.
#include <setjmp.h>
#include <sys/mman.h>

#include "check.h"

enum { kThreads = 10, kSize = 64 * 1024 };

struct thread_state {
  char* memory;
  sigjmp_buf recovery;
  volatile int handled;
};

static __thread struct thread_state* state;
static int ends[2];
static sem_t done;

static int is_on_alternate(const void* address) {
  return (const char*)address >= state->memory && (const char*)address < state->memory + kSize;
}

static void on_usr1(int number) {
  char local;
  (void)number;
  CHECK(is_on_alternate(&local));
  stack_t now;
  CHECK_OK(sigaltstack(NULL, &now));
  CHECK_EQ(SS_ONSTACK, now.ss_flags);
  CHECK(now.ss_sp == state->memory);
  CHECK_ERRNO(EPERM, sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL));
  usleep(10);
  CHECK(is_on_alternate(&local));
  ++state->handled;
}

static void on_usr2(int number) {
  char local;
  (void)number;
  CHECK(!is_on_alternate(&local));
  ++state->handled;
}

static void on_segv(int number) {
  char local;
  (void)number;
  CHECK(is_on_alternate(&local));
  siglongjmp(state->recovery, 1);
}

static int overflow(volatile char* above) {
  volatile char frame[4096];
  frame[0] = above ? above[0] : 1;
  int deeper = frame[0] ? overflow(frame) : 0;
  return deeper + frame[0];
}

static void* body(void* argument) {
  struct thread_state mine = {0};
  stack_t now;
  CHECK_OK(sigaltstack(NULL, &now));
  CHECK_EQ(SS_DISABLE, now.ss_flags);  // not inherited
  mine.memory = mmap(NULL, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(mine.memory != MAP_FAILED);
  state = &mine;
  stack_t own = {.ss_sp = mine.memory, .ss_size = kSize};
  CHECK_OK(sigaltstack(&own, NULL));
  for (int i = 0; i < 20; ++i) {
    CHECK_RC(pthread_kill(pthread_self(), i % 2 ? SIGUSR2 : SIGUSR1));
    sched_yield();
  }
  CHECK_EQ(20, mine.handled);
  CHECK_OK(sigaltstack(NULL, &now));
  CHECK_EQ(0, now.ss_flags);
  CHECK_EQ(kSize, now.ss_size);

  for (int i = 0; i < 3; ++i) {  // again and again
    if (sigsetjmp(mine.recovery, 1) == 0) {
      overflow(NULL);
      FAIL("the stack did not overflow");
    }
  }

  int before = mine.handled;
  CHECK_OK(sem_post(&done));
  char c;
  ssize_t n = read(ends[0], &c, 1);  // interrupted on its own stack, handled on the other
  CHECK_EQ(1, n);
  CHECK(mine.handled > before);
  CHECK_OK(sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL));
  CHECK_OK(munmap(mine.memory, kSize));
  return argument;
}

int main(void) {
  CHECK_OK(pipe(ends));
  CHECK_OK(sem_init(&done, 0, 0));
  struct sigaction action = {.sa_handler = on_usr1, .sa_flags = SA_ONSTACK | SA_RESTART};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  action.sa_handler = on_segv;
  CHECK_OK(sigaction(SIGSEGV, &action, NULL));
  action = (struct sigaction){.sa_handler = on_usr2};
  CHECK_OK(sigaction(SIGUSR2, &action, NULL));

  pthread_t threads[kThreads];
  pthread_attr_t attr;
  CHECK_RC(pthread_attr_init(&attr));
  CHECK_RC(pthread_attr_setstacksize(&attr, 256 * 1024));
  for (int i = 0; i < kThreads; ++i) CHECK_RC(pthread_create(&threads[i], &attr, body, NULL));
  for (int i = 0; i < kThreads; ++i) sem_take(&done);
  for (int i = 0; i < kThreads; ++i) CHECK_RC(pthread_kill(threads[i], SIGUSR1));
  settle();
  for (int i = 0; i < kThreads; ++i) CHECK_EQ(1, write(ends[1], "x", 1));
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  pass("running, out of stack, blocked");

  stack_t small = {.ss_sp = ends, .ss_size = 2047}, bad = {.ss_sp = ends, .ss_flags = 0x1234};
  CHECK_ERRNO(ENOMEM, sigaltstack(&small, NULL));
  CHECK_ERRNO(EINVAL, sigaltstack(&bad, NULL));
  static char room[2048];  // the least that Linux takes, whatever the frames of this CPU need
  stack_t least = {.ss_sp = room, .ss_size = sizeof room};
  CHECK_OK(sigaltstack(&least, NULL));
  CHECK_OK(sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL));
  pass("bad arguments");
  return 0;
}
