// A fault is handled by the thread that caused it, with the address that it touched, and the
// handler may leave by siglongjmp.
#include <setjmp.h>
#include <sys/mman.h>

#include "check.h"

enum { kThreads = 20, kRounds = 20 };

static __thread sigjmp_buf recovery;
static __thread siginfo_t last;

static void on_fault(int number, siginfo_t* info, void* context) {
  (void)context;
  last = *info;
  siglongjmp(recovery, number);
}

static void* forbidden;
static void* beyond_end;

static void* body(void* argument) {
  intptr_t id = (intptr_t)argument;
  for (volatile int round = 0; round < kRounds; ++round) {
    volatile char* address = (char*)forbidden + id * 50 + round;
    int number = sigsetjmp(recovery, 1);
    if (number == 0) {
      if (round % 2) {
        *address = 1;
      } else {
        (void)*address;
      }
      FAIL("no fault");
    }
    CHECK_EQ(SIGSEGV, number);
    CHECK(last.si_addr == address);
    CHECK_EQ(SEGV_ACCERR, last.si_code);
    sched_yield();

    number = sigsetjmp(recovery, 1);
    if (number == 0) {
      (void)*(volatile char*)(16 + id);
      FAIL("no fault");
    }
    CHECK_EQ(SIGSEGV, number);
    CHECK(last.si_addr == (void*)(16 + id));
    CHECK_EQ(SEGV_MAPERR, last.si_code);
    usleep(1);

    number = sigsetjmp(recovery, 1);
    if (number == 0) {
      (void)*(volatile char*)beyond_end;
      FAIL("no fault");
    }
    CHECK_EQ(SIGBUS, number);
    CHECK(last.si_addr == beyond_end);

    number = sigsetjmp(recovery, 1);
    if (number == 0) {
      __asm__ volatile("xor %%edx, %%edx; mov $1, %%eax; xor %%ecx, %%ecx; div %%ecx" ::
                           : "eax", "ecx", "edx", "cc");
      FAIL("no fault");
    }
    CHECK_EQ(SIGFPE, number);
    CHECK_EQ(FPE_INTDIV, last.si_code);

    number = sigsetjmp(recovery, 1);
    if (number == 0) {
      __asm__ volatile("ud2");
      FAIL("no fault");
    }
    CHECK_EQ(SIGILL, number);

    number = sigsetjmp(recovery, 1);
    if (number == 0) {
      __asm__ volatile("int3");
      FAIL("no fault");
    }
    CHECK_EQ(SIGTRAP, number);
    sigset_t now;
    CHECK_RC(pthread_sigmask(SIG_SETMASK, NULL, &now));
    CHECK_EQ(0, sigismember(&now, SIGSEGV));
  }
  return argument;
}

// Handlers that repair what was wrong and return: the instruction is tried again.
static char* lazily_mapped;

static void on_lazy(int number, siginfo_t* info, void* context) {
  (void)number;
  (void)context;
  char* page = (char*)((uintptr_t)info->si_addr & ~(uintptr_t)4095);
  CHECK_OK(mprotect(page, 4096, PROT_READ | PROT_WRITE));
}

static void* touches(void* argument) {
  for (int i = 0; i < 64; ++i) {
    lazily_mapped[i * 4096] = 1;
    if (i % 8 == 0) sched_yield();
  }
  return argument;
}

int main(void) {
  forbidden = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  FILE* file = tmpfile();
  CHECK(forbidden != MAP_FAILED && file);
  beyond_end = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fileno(file), 0);
  CHECK(beyond_end != MAP_FAILED);
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
  int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
  for (int i = 0; i < 5; ++i) CHECK_OK(sigaction(signals[i], &action, NULL));

  pthread_t threads[kThreads];
  for (intptr_t i = 0; i < kThreads; ++i) threads[i] = start_thread(body, (void*)i);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  body(NULL);
  pass("faults in many threads");

  lazily_mapped = mmap(NULL, 64 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(lazily_mapped != MAP_FAILED);
  action.sa_sigaction = on_lazy;
  CHECK_OK(sigaction(SIGSEGV, &action, NULL));
  for (int i = 0; i < 4; ++i) threads[i] = start_thread(touches, NULL);
  for (int i = 0; i < 4; ++i) join_thread(threads[i]);
  for (int i = 0; i < 64; ++i) CHECK_EQ(1, lazily_mapped[i * 4096]);
  pass("repaired and tried again");
  return 0;
}
