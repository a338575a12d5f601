// Write barriers of garbage collectors: pages are protected, and a handler on the alternate stack
// lifts the protection of the one that is written to. The handler uses its stack, makes system
// calls, computes past its time slice and faults itself; the interrupted computation notices
// nothing, its vector registers included.
#include <sys/mman.h>

#include "check.h"

enum { kThreads = 8, kPages = 40, kStack = 256 * 1024 };

static size_t page_size;

struct heap {
  char* pages;
  char* inner;  // a page that the handler itself writes to
  int faults;
};

static __thread struct heap* heap;
static __thread char* alternate;

static void use_the_stack(int depth) {
  volatile char here[2048];
  for (size_t i = 0; i < sizeof here; ++i) here[i] = (char)(depth + (int)i);
  CHECK((char*)here >= alternate && (char*)here < alternate + kStack);
  if (depth > 0) use_the_stack(depth - 1);
  for (size_t i = 0; i < sizeof here; ++i) CHECK(here[i] == (char)(depth + (int)i));
}

static void on_fault(int number, siginfo_t* info, void* context) {
  (void)context;
  int saved = errno;
  CHECK_EQ(SIGSEGV, number);
  char* page = (char*)((uintptr_t)info->si_addr & ~(page_size - 1));
  ++heap->faults;
  use_the_stack(4);
  if (page != heap->inner) {
    CHECK_OK(mprotect(heap->inner, page_size, PROT_READ));
    *heap->inner = 1;
  }
  // Sometimes past the end of a time slice.
  if (heap->faults % 16 == 0) {
    int64_t end = mono_ns() + MS(12);
    while (mono_ns() < end) {
    }
  }
  sched_yield();
  use_the_stack(4);
  CHECK_OK(mprotect(page, page_size, PROT_READ | PROT_WRITE));
  errno = saved;
}

static void* body(void* argument) {
  struct heap mine = {0};
  (void)argument;
  alternate = malloc(kStack);
  stack_t stack = {.ss_sp = alternate, .ss_size = kStack};
  CHECK_OK(sigaltstack(&stack, NULL));
  mine.pages = mmap(NULL, kPages * page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mine.inner = mmap(NULL, page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(mine.pages != MAP_FAILED && mine.inner != MAP_FAILED);
  heap = &mine;
  double sum = 0, expected = 0;
  for (int i = 0; i < kPages; ++i) {
    // The sums live in vector registers over the fault.
    double a = i, b = i * 0.5, c = i * 0.25;
    errno = i;
    *(volatile char*)(mine.pages + (size_t)i * page_size + (size_t)i) = (char)i;
    CHECK_EQ(i, errno);
    sum += a + b + c;
    expected += i * 1.75;
  }
  CHECK(sum == expected);
  CHECK_EQ(2 * kPages, mine.faults);
  for (int i = 0; i < kPages; ++i) CHECK(mine.pages[(size_t)i * page_size + (size_t)i] == (char)i);
  stack.ss_flags = SS_DISABLE;
  CHECK_OK(sigaltstack(&stack, NULL));
  free(alternate);
  return NULL;
}

int main(void) {
  page_size = (size_t)sysconf(_SC_PAGESIZE);
  struct sigaction action = {.sa_sigaction = on_fault,
                             .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  CHECK_OK(sigaction(SIGSEGV, &action, NULL));
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) threads[i] = start_thread(body, NULL);
  for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
  pass("handlers with frames of their own on the alternate stack");
  return 0;
}
