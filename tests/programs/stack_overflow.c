// A thread whose stack overflows: without a handler the process dies of SIGSEGV; a handler on an
// alternate stack is told where. `stack_overflow die` overflows in a thread of that name.
#include <setjmp.h>
#include <sys/resource.h>

#include "check.h"

static sigjmp_buf back;
static char* volatile stack_begin;
static size_t stack_size;

static __attribute__((noinline)) int recurse(int depth) {
  volatile char frame[512];
  memset((char*)frame, depth, sizeof frame);
  return frame[depth % 512] + (depth < 0 ? 0 : recurse(depth + 1));
}

static void on_fault(int signal, siginfo_t* info, void* context) {
  (void)context;
  CHECK_EQ(SIGSEGV, signal);
  // In the guard page, or where the frame that did not fit would have been.
  CHECK((char*)info->si_addr < stack_begin + 4096);
  CHECK((char*)info->si_addr >= stack_begin - 65536);
  siglongjmp(back, 1);
}

static void* overflows(void* argument) {
  CHECK_RC(pthread_setname_np(pthread_self(), "much too deep"));
  return (void*)(intptr_t)(recurse(argument == NULL ? 1 : 0));
}

static void* catches(void* argument) {
  pthread_attr_t attr;
  void* begin;
  CHECK_RC(pthread_getattr_np(pthread_self(), &attr));
  CHECK_RC(pthread_attr_getstack(&attr, &begin, &stack_size));
  stack_begin = begin;
  CHECK_RC(pthread_attr_destroy(&attr));
  static char memory[65536];
  const stack_t alternate = {.ss_sp = memory, .ss_size = sizeof memory};
  CHECK_OK(sigaltstack(&alternate, NULL));
  const struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  CHECK_OK(sigaction(SIGSEGV, &action, NULL));
  for (volatile int i = 0; i < 3; ++i) {
    if (sigsetjmp(back, 1) == 0) recurse(1);
  }
  return argument;
}

int main(int argc, char** argv) {
  const struct rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  if (argc > 1 && strcmp(argv[1], "die") == 0) {
    join_thread(start_thread(overflows, NULL));
    return 1;
  }
  be_threaded();
  pid_t child = fork();
  CHECK_OK(child);
  if (child == 0) {
    close(2);
    join_thread(start_thread(overflows, NULL));
    _exit(0);
  }
  CHECK_KILLED(SIGSEGV, child);
  pass("it dies of SIGSEGV");
  join_thread(start_thread(catches, NULL));
  pass("a handler on an alternate stack catches it, again and again");
  return 0;
}
