// clone3 with CLONE_CLEAR_SIGHAND: in the child what was handled is at its default, what was
// ignored stays ignored; without it the child has the handlers, too.
#include <linux/sched.h>

#include "check.h"

enum { kStackSize = 64 * 1024, kExit = 42 };

static void on_signal(int signal) { (void)signal; }
static void on_info(int signal, siginfo_t* info, void* context) {
  (void)signal;
  (void)info;
  (void)context;
}

// Plain system calls: the child may share memory with its parent.
static int is_as_cleared(int signal, void (*handler)(int)) {
  struct sigaction action;
  if (sigaction(signal, NULL, &action) != 0) return 0;
  if (action.sa_handler != handler || (action.sa_flags & ~0x04000000 /* SA_RESTORER */) != 0) {
    return 0;
  }
  for (int i = 1; i < NSIG; ++i) {
    if (sigismember(&action.sa_mask, i) == 1) return 0;
  }
  return 1;
}

static int has_handler(int signal) {
  struct sigaction action;
  return sigaction(signal, NULL, &action) == 0 && action.sa_handler != SIG_DFL &&
         action.sa_handler != SIG_IGN;
}

static int all_cleared(void) {
  if (!is_as_cleared(SIGUSR1, SIG_DFL)) return 1;
  if (!is_as_cleared(SIGTERM, SIG_DFL)) return 2;
  if (!is_as_cleared(SIGSEGV, SIG_DFL)) return 3;
  if (!is_as_cleared(SIGUSR2, SIG_IGN)) return 4;
  if (!is_as_cleared(SIGHUP, SIG_DFL)) return 5;
  return kExit;
}

static int none_cleared(void) {
  if (!has_handler(SIGUSR1)) return 1;
  if (!has_handler(SIGTERM)) return 2;
  if (!has_handler(SIGSEGV)) return 3;
  if (!is_as_cleared(SIGHUP, SIG_DFL)) return 4;
  return kExit;
}

static pid_t clone_like_fork(uint64_t flags) {
  struct clone_args args = {.flags = flags, .exit_signal = SIGCHLD};
  return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

// The child runs the function on a stack of its own, and exits with what it returns.
static pid_t clone_on_stack(uint64_t flags, void* stack, int (*function)(void)) {
  struct clone_args args = {
      .flags = flags, .exit_signal = SIGCHLD, .stack = (uintptr_t)stack, .stack_size = kStackSize};
  long result = SYS_clone3;
  register int (*called)(void) asm("r12") = function;
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "call *%%r12\n\t"
      "mov %%eax, %%edi\n\t"
      "mov $231, %%eax\n\t"  // exit_group
      "syscall\n"
      "1:"
      : "+a"(result)
      : "D"(&args), "S"(sizeof args), "r"(called)
      : "rcx", "r11", "memory");
  return (pid_t)result;
}

static void* as_fork(void* argument) {
  pid_t child = clone_like_fork(CLONE_CLEAR_SIGHAND);
  CHECK_OK(child);
  if (child == 0) _exit(all_cleared());
  CHECK_EXITED(kExit, child);
  child = clone_like_fork(0);
  CHECK_OK(child);
  if (child == 0) _exit(none_cleared());
  CHECK_EXITED(kExit, child);
  child = clone_like_fork(CLONE_CLEAR_SIGHAND);
  CHECK_OK(child);
  if (child == 0) {
    raise(SIGUSR2);
    raise(SIGTERM);
    _exit(1);
  }
  CHECK_KILLED(SIGTERM, child);
  // The child has threads of its own, and they find the same.
  child = clone_like_fork(CLONE_CLEAR_SIGHAND);
  CHECK_OK(child);
  if (child == 0) {
    be_threaded();
    int result = all_cleared();
    if (result == kExit) raise(SIGTERM);
    _exit(result);
  }
  CHECK_KILLED(SIGTERM, child);
  CHECK(has_handler(SIGTERM));
  return argument;
}

static void* on_own_stack(void* argument) {
  void* stack = aligned_alloc(64, kStackSize);
  CHECK(stack != NULL);
  CHECK_EXITED(kExit, clone_on_stack(CLONE_CLEAR_SIGHAND, stack, all_cleared));
  CHECK_EXITED(kExit, clone_on_stack(0, stack, none_cleared));
  CHECK_EXITED(kExit,
               clone_on_stack(CLONE_CLEAR_SIGHAND | CLONE_VM | CLONE_VFORK, stack, all_cleared));
  free(stack);
  CHECK(has_handler(SIGTERM));
  return argument;
}

int main(void) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  CHECK_OK(sigaction(SIGUSR1, &action, NULL));
  CHECK_OK(sigaction(SIGSEGV, &action, NULL));
  action = (struct sigaction){.sa_sigaction = on_info, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigaddset(&action.sa_mask, SIGINT);
  CHECK_OK(sigaction(SIGTERM, &action, NULL));
  CHECK(signal(SIGUSR2, SIG_IGN) != SIG_ERR);
  join_thread(start_thread(as_fork, NULL));
  pass("a child with memory of its own");
  join_thread(start_thread(on_own_stack, NULL));
  pass("a child with a stack of its own");
  CHECK_EQ(-1, clone_like_fork(CLONE_CLEAR_SIGHAND | CLONE_SIGHAND | CLONE_VM));
  CHECK_EQ(EINVAL, errno);
  pass("what excludes it");
  return 0;
}
