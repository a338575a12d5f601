// The alternate stack and the frame of a handler: sizes down to the Linux kernel's bound, a stack
// that disarms itself, what a handler makes of the stack in its frame, and a child made inside a
// handler.
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "check.h"

enum { kSize = 64 * 1024, kSmallest = 2048 };

static const int kAutoDisarm =
    (int)(1U << 31);  // <linux/signal.h> cannot be included beside <signal.h>

static char first[kSize], second[kSize];
static volatile int handled, nested;
static volatile pid_t child;

static int is_in(const char* memory, const void* address) {
  return (const char*)address >= memory && (const char*)address < memory + kSize;
}

static stack_t now(void) {
  stack_t stack;
  CHECK_OK(sigaltstack(NULL, &stack));
  return stack;
}

static void on_usr1(int number, siginfo_t* info, void* context) {
  char local;
  (void)number;
  (void)info;
  CHECK(is_in(first, &local));
  ucontext_t* frame = context;
  CHECK(frame->uc_stack.ss_sp == first);
  CHECK_EQ(kAutoDisarm, frame->uc_stack.ss_flags);
  CHECK_EQ(SS_DISABLE, now().ss_flags);
  if (handled++ == 0) {  // another one for handlers that interrupt this one
    CHECK_OK(
        sigaltstack(&(stack_t){.ss_sp = second, .ss_size = kSize, .ss_flags = SS_ONSTACK}, NULL));
    CHECK_EQ(0, now().ss_flags);
    CHECK_OK(raise(SIGUSR2));
    CHECK_EQ(1, nested);
  }
}

static void on_usr2(int number) {
  char local;
  (void)number;
  CHECK(is_in(second, &local));
  CHECK_EQ(SS_ONSTACK, now().ss_flags);
  ++nested;
}

// Not on an alternate stack: what it leaves in its frame is the thread's from then on.
static void on_winch(int number, siginfo_t* info, void* context) {
  (void)number;
  (void)info;
  CHECK_OK(
      sigaltstack(&(stack_t){.ss_sp = first, .ss_size = kSize}, NULL));  // for the handler only
  ((ucontext_t*)context)->uc_stack = (stack_t){.ss_sp = second, .ss_size = kSize};
}

static void on_segv(int number, siginfo_t* info, void* context) {
  char local;
  (void)number;
  (void)info;
  CHECK(is_in(first, &local));
  CHECK_EQ(SS_DISABLE, now().ss_flags);
  CHECK_OK(mprotect((void*)((ucontext_t*)context)->uc_mcontext.gregs[REG_RDI], 4096,
                    PROT_READ | PROT_WRITE));
  ++handled;
}

static void on_urg(int number) {
  char local;
  (void)number;
  CHECK(is_in(first, &local));
  child = fork();
  CHECK(child >= 0);
}

static void set(int number, void (*plain)(int), void (*full)(int, siginfo_t*, void*), int flags) {
  struct sigaction action = {.sa_flags = flags | (full ? SA_SIGINFO : 0)};
  if (full) {
    action.sa_sigaction = full;
  } else {
    action.sa_handler = plain;
  }
  CHECK_OK(sigaction(number, &action, NULL));
}

static void touch(volatile char* page) { asm volatile("movb $7, (%0)" : : "D"(page) : "memory"); }

static void* body(void* argument) {
  for (size_t size = kSmallest; size <= kSize; size *= 2) {
    CHECK_OK(sigaltstack(&(stack_t){.ss_sp = first, .ss_size = size}, NULL));
    CHECK_EQ((long)size, (long)now().ss_size);
  }
  CHECK_ERRNO(ENOMEM, sigaltstack(&(stack_t){.ss_sp = first, .ss_size = kSmallest - 1}, NULL));
  pass("sizes");

  const stack_t disarms = {.ss_sp = first, .ss_size = kSize, .ss_flags = kAutoDisarm};
  CHECK_OK(sigaltstack(&disarms, NULL));
  CHECK_EQ(kAutoDisarm, now().ss_flags);
  CHECK_OK(raise(SIGUSR1));
  CHECK_OK(raise(SIGUSR1));  // armed again
  CHECK_EQ(2, handled);
  CHECK(now().ss_sp == first);
  CHECK_EQ(kAutoDisarm, now().ss_flags);
  pass("disarms itself");

  char* page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(page != MAP_FAILED);
  touch(page);
  CHECK_EQ(7, page[0]);
  CHECK_EQ(3, handled);
  CHECK_EQ(kAutoDisarm, now().ss_flags);
  pass("disarms itself for a fault");

  CHECK_OK(raise(SIGWINCH));
  CHECK(now().ss_sp == second);
  CHECK_EQ(0, now().ss_flags);
  pass("the frame's");

  CHECK_OK(sigaltstack(&(stack_t){.ss_sp = first, .ss_size = kSize}, NULL));
  sigset_t blocked, after;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGALRM);
  CHECK_RC(pthread_sigmask(SIG_SETMASK, &blocked, NULL));
  CHECK_OK(raise(SIGURG));
  CHECK_RC(pthread_sigmask(SIG_SETMASK, NULL, &after));
  CHECK_EQ(1, sigismember(&after, SIGALRM));
  CHECK_EQ(0, sigismember(&after, SIGURG));
  CHECK(now().ss_sp == first);
  CHECK_EQ(0, now().ss_flags);
  CHECK_EQ(kSize, (long)now().ss_size);
  if (child == 0) {
    CHECK_OK(sigaltstack(&(stack_t){.ss_sp = second, .ss_size = kSize}, NULL));
    nested = 0;
    CHECK_OK(raise(SIGUSR2));
    CHECK_EQ(1, nested);
    _exit(17);
  }
  int status;
  CHECK_EQ(child, waitpid(child, &status, 0));
  CHECK(WIFEXITED(status));
  CHECK_EQ(17, WEXITSTATUS(status));
  pass("a child made inside a handler");
  return argument;
}

int main(void) {
  set(SIGUSR1, NULL, on_usr1, SA_ONSTACK);
  set(SIGUSR2, on_usr2, NULL, SA_ONSTACK);
  set(SIGWINCH, NULL, on_winch, 0);
  set(SIGSEGV, NULL, on_segv, SA_ONSTACK);
  set(SIGURG, on_urg, NULL, SA_ONSTACK);
  pthread_t thread;
  CHECK_RC(pthread_create(&thread, NULL, body, NULL));
  join_thread(thread);
  return 0;
}
