// Flags of the CPU that a program sets: single steps, alignment checks, the direction of string
// instructions. They stay over system calls, of whatever way, and no handler sees them.
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define TRAP 0x100L
#define DIRECTION 0x400L
#define ALIGNMENT 0x40000L

static inline long flags_now(void) {
  long flags;
  asm volatile("leaq -128(%%rsp), %%rsp; pushfq; popq %0; leaq 128(%%rsp), %%rsp" : "=r"(flags));
  return flags;
}

static inline void set_flags(long flags) {
  asm volatile("leaq -128(%%rsp), %%rsp; pushq %0; popfq; leaq 128(%%rsp), %%rsp" ::"r"(flags)
               : "memory", "cc");
}

static void* nothing(void* argument) { return argument; }

// --- single steps ---

static volatile int steps, handler_flags;

static void on_step(int signal, siginfo_t* info, void* context) {
  (void)signal, (void)info, (void)context;
  ++steps;
  handler_flags |= flags_now() & (TRAP | DIRECTION);
}

static void step_through_calls(void) {
  const struct sigaction action = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
  sigaction(SIGTRAP, &action, NULL);
  int ends[2];
  if (pipe(ends) != 0) return;
  char byte = 'x';
  set_flags(flags_now() | TRAP);
  const int before = steps;
  const ssize_t written = write(ends[1], &byte, 1);
  const long after_write = flags_now();
  const int between = steps;
  const ssize_t got = read(ends[0], &byte, 1);
  const long after_read = flags_now();
  long id;
  asm volatile("syscall" : "=a"(id) : "a"(SYS_gettid) : "rcx", "r11", "memory");
  const long after_call = flags_now();
  const int at_end = steps;
  set_flags(flags_now() & ~TRAP);
  const int stopped = steps;
  for (volatile int i = 0; i < 10; ++i) continue;
  printf("stepped: %zd %zd %d, flag %d %d %d, steps %d %d, none afterwards: %d, clean: %d\n",
         written, got, id == gettid(), (after_write & TRAP) != 0, (after_read & TRAP) != 0,
         (after_call & TRAP) != 0, between > before + 3, at_end > between + 3, steps == stopped,
         handler_flags == 0);
}

// --- alignment ---

static void call_with_alignment_checks(void) {
  set_flags(flags_now() | ALIGNMENT);
  long parent, id;
  asm volatile("movl %1, %%eax; syscall"
               : "=a"(parent)
               : "i"(SYS_getppid)
               : "rcx", "r11", "memory");
  const long after_pass = flags_now();
  asm volatile("movl %1, %%eax; syscall" : "=a"(id) : "i"(SYS_gettid) : "rcx", "r11", "memory");
  const long after_green = flags_now();
  set_flags(flags_now() & ~ALIGNMENT);
  printf("aligned: %d %d, flag %d %d\n", parent == getppid(), id == gettid(),
         (after_pass & ALIGNMENT) != 0, (after_green & ALIGNMENT) != 0);
}

// While a call of the C library waits, the flag is nobody else's.
static int out_of_step[2], in_step[2];

static void* looks_at_flags(void* argument) {
  static char bytes[16];
  char byte;
  volatile int* crooked = (volatile int*)(bytes + 1);
  const long before = flags_now();
  for (int i = 0; i < 100; ++i) {
    if (read(in_step[0], &byte, 1) != 1) return argument;
    ++*crooked;
    if ((flags_now() & ALIGNMENT) != (before & ALIGNMENT)) return argument;
    if (write(out_of_step[1], &byte, 1) != 1) return argument;
  }
  return NULL;
}

static void wait_with_alignment_checks(void) {
  char byte = 'x';
  int kept = 1;
  pthread_t thread;
  if (pipe(in_step) != 0 || pipe(out_of_step) != 0) return;
  if (pthread_create(&thread, NULL, looks_at_flags, in_step) != 0) return;
  for (int i = 0; i < 100; ++i) {
    set_flags(flags_now() | ALIGNMENT);
    const int moved = write(in_step[1], &byte, 1) == 1 && read(out_of_step[0], &byte, 1) == 1;
    kept &= moved && (flags_now() & ALIGNMENT) != 0;
    set_flags(flags_now() & ~ALIGNMENT);
  }
  void* result;
  pthread_join(thread, &result);
  printf("aligned waits: flag kept %d, in others %d\n", kept, result != NULL);
}

// --- direction ---

static atomic_int signalled, backwards;

static void on_signal(int signal) {
  (void)signal;
  if (flags_now() & DIRECTION) atomic_store(&backwards, 1);
  atomic_store(&signalled, 1);
}

static void* compute_backwards(void* argument) {
  (void)argument;
  set_flags(flags_now() | DIRECTION);
  int kept = 1;
  while (!atomic_load(&signalled)) kept &= (flags_now() & DIRECTION) != 0;
  kept &= (flags_now() & DIRECTION) != 0;
  set_flags(flags_now() & ~DIRECTION);
  return kept ? argument : NULL;
}

static void interrupt_who_goes_backwards(void) {
  signal(SIGUSR1, on_signal);
  int kept = 1, leaked = 0;
  for (int i = 0; i < 20; ++i) {
    atomic_store(&signalled, 0);
    pthread_t thread;
    if (pthread_create(&thread, NULL, compute_backwards, &signalled) != 0) return;
    usleep(1000);  // it gives way to us, and keeps its flags for itself
    leaked |= (flags_now() & DIRECTION) != 0;
    pthread_kill(thread, SIGUSR1);
    void* result;
    pthread_join(thread, &result);
    kept &= result != NULL;
  }
  printf("backwards: flag kept %d, in handlers %d, in others %d\n", kept, atomic_load(&backwards),
         leaked);
}

int main(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, nothing, NULL) != 0) return 1;
  pthread_join(thread, NULL);
  step_through_calls();
  call_with_alignment_checks();
  wait_with_alignment_checks();
  interrupt_who_goes_backwards();
  return 0;
}
