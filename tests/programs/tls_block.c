// Threads that a program makes by clone itself, with a block for thread-locals of its own: whatever
// is in it, their system calls work.
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>

#include "check.h"

enum { kBlock = 64 * 1024, kRounds = 50 };

static int pipes[2];
static volatile int ended;

static long call3(long number, long a, long b, long c) {
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c)
               : "rcx", "r11", "memory");
  return result;
}

// No thread-locals of the C library's: there are none.
__attribute__((noinline, optimize("no-stack-protector"))) static int body(void* argument) {
  char byte = 0;
  for (int i = 0; i < kRounds; ++i) {
    if (call3(SYS_read, pipes[0], (long)&byte, 1) != 1 || byte != 'x') break;
    if (call3(SYS_sched_yield, 0, 0, 0) != 0) break;
    if (call3(SYS_gettid, 0, 0, 0) == call3(SYS_getpid, 0, 0, 0)) break;
    ++*(volatile int*)argument;
  }
  call3(SYS_exit, 0, 0, 0);
  return 0;
}

static void with_block(int filler) {
  char* block = mmap(NULL, 2 * kBlock, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char* stack = mmap(NULL, kBlock, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(block != MAP_FAILED && stack != MAP_FAILED);
  memset(block, filler, 2 * kBlock);
  void** control = (void**)(block + kBlock);
  control[0] = control;
  static volatile int rounds;
  rounds = 0;
  ended = 1;
  const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                    CLONE_SYSVSEM | CLONE_SETTLS | CLONE_CHILD_CLEARTID;
  CHECK(clone(body, stack + kBlock, flags, (void*)&rounds, NULL, control, &ended) > 0);
  for (int i = 0; i < kRounds; ++i) {
    CHECK_EQ(1, write(pipes[1], "x", 1));
    if (i % 10 == 0) usleep(1000);
  }
  while (ended != 0) syscall(SYS_futex, &ended, FUTEX_WAIT, 1, NULL, NULL, 0);
  CHECK_EQ(kRounds, rounds);
  CHECK_OK(munmap(block, 2 * kBlock));
  CHECK_OK(munmap(stack, kBlock));
}

int main(void) {
  be_threaded();
  CHECK_OK(pipe(pipes));
  with_block(0);
  pass("zeros");
  with_block(0xff);
  pass("anything");
  return 0;
}
