// Threads that compute with their stack pointer where nothing may be written below it but by
// themselves: on a coroutine's small stack, and in memory full of data, as code of Erlang and
// Poly/ML does, whose handlers all have an alternate stack. Natively nobody writes there.
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/time.h>
#include <ucontext.h>

#include "check.h"

enum { kThreads = 4, kRounds = 8, kBytes = 65536, kStack = 4096, kRedZone = 128 };
static const long kSteps = 20000000;

static atomic_int handled;
static atomic_int off_stack;
static _Thread_local char* alternate;

static void on_alarm(int signal) {
  (void)signal;
  char here;
  if (&here < alternate || &here > alternate + kBytes) atomic_fetch_add(&off_stack, 1);
  atomic_fetch_add(&handled, 1);
}

static int is_untouched(const unsigned char* memory, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) {
    if (memory[i] != 0xa5) return 0;
  }
  return 1;
}

static void compute_at(char* sp, long steps) {
  __asm__ volatile(
      "movq %%rsp, %%r12\n\t"
      "movq %0, %%rsp\n"
      "1: subq $1, %1\n\t"
      "jnz 1b\n\t"
      "movq %%r12, %%rsp"
      : "+r"(sp), "+r"(steps)
      :
      : "r12", "cc", "memory");
}

static void* compute_in_data(void* unused) {
  (void)unused;
  alternate = malloc(kBytes);
  const stack_t stack = {.ss_sp = alternate, .ss_size = kBytes};
  CHECK_EQ(sigaltstack(&stack, NULL), 0);
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  CHECK_EQ(pthread_sigmask(SIG_UNBLOCK, &alarm, NULL), 0);
  unsigned char* memory = malloc(kBytes);
  memset(memory, 0xa5, kBytes);
  for (int round = 0; round < kRounds; ++round) {
    compute_at((char*)memory + kBytes / 2, kSteps);
    CHECK(is_untouched(memory, kBytes / 2 - kRedZone));
    CHECK(is_untouched(memory + kBytes / 2, kBytes / 2));
  }
  CHECK_EQ(pthread_sigmask(SIG_BLOCK, &alarm, NULL), 0);
  free(memory);
  const stack_t none = {.ss_flags = SS_DISABLE};
  CHECK_EQ(sigaltstack(&none, NULL), 0);
  free(alternate);
  return NULL;
}

static _Thread_local ucontext_t home;
static _Thread_local ucontext_t coroutine;

static void compute_in_coroutine(void) {
  for (;;) {
    for (long i = 0; i < kSteps; ++i) __asm__ volatile("");
    swapcontext(&coroutine, &home);
  }
}

static void* run_coroutine(void* unused) {
  (void)unused;
  unsigned char* memory = aligned_alloc(4096, kBytes);
  memset(memory, 0xa5, kBytes - kStack);
  CHECK_EQ(getcontext(&coroutine), 0);
  coroutine.uc_stack.ss_sp = memory + kBytes - kStack;
  coroutine.uc_stack.ss_size = kStack;
  makecontext(&coroutine, compute_in_coroutine, 0);
  for (int round = 0; round < kRounds; ++round) {
    CHECK_EQ(swapcontext(&home, &coroutine), 0);
    CHECK(is_untouched(memory, kBytes - kStack));
  }
  free(memory);
  return NULL;
}

static void run(void* (*work)(void*)) {
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) {
    CHECK_EQ(pthread_create(&threads[i], NULL, work, NULL), 0);
  }
  for (int i = 0; i < kThreads; ++i) pthread_join(threads[i], NULL);
}

int main(void) {
  // Where the thread stands is for the handler to say, so who has no alternate stack must not get
  // it.
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  CHECK_EQ(pthread_sigmask(SIG_BLOCK, &alarm, NULL), 0);
  run(run_coroutine);
  puts("a small stack: nothing was written below it");
  run(compute_in_data);
  puts("a stack pointer in data: nothing was written there");

  const struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_ONSTACK | SA_RESTART};
  CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
  const struct itimerval often = {{0, 5000}, {0, 5000}};
  CHECK_EQ(setitimer(ITIMER_REAL, &often, NULL), 0);
  run(compute_in_data);
  const struct itimerval never = {{0, 0}, {0, 0}};
  CHECK_EQ(setitimer(ITIMER_REAL, &never, NULL), 0);
  CHECK(atomic_load(&handled) > 0);
  CHECK_EQ(atomic_load(&off_stack), 0);
  puts("with signals: nothing either, handlers ran on the alternate stacks");
  return 0;
}
