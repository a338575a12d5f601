// Stacks can be told and unwound from wherever a signal finds a thread that makes system calls.
#include <sys/time.h>
#include <unwind.h>

#include <atomic>

#include "check.h"

// The program's own system calls, as those of a runtime that does without libc: one has the number
// right before the instruction, the other one a short instruction more.
extern "C" {
long own_read(int fd, void* to, size_t size);
long own_getppid(void);
}
asm(R"(
    .text
    .globl own_read
    .type own_read, @function
own_read:
    .cfi_startproc
    pushq %rbx
    .cfi_def_cfa_offset 16
    .cfi_offset %rbx, -16
    movl $0, %eax
    syscall
    popq %rbx
    .cfi_def_cfa_offset 8
    ret
    .cfi_endproc
    .size own_read, .-own_read

    .globl own_getppid
    .type own_getppid, @function
own_getppid:
    .cfi_startproc
    subq $24, %rsp
    .cfi_def_cfa_offset 32
    xorl %eax, %eax
    movb $110, %al
    xorl %ecx, %ecx
    nop
    syscall
    addq $24, %rsp
    .cfi_def_cfa_offset 8
    ret
    .cfi_endproc
    .size own_getppid, .-own_getppid
)");

namespace {

std::atomic<int> seen{0};
std::atomic<int> lost{0};

[[gnu::noinline]] void* runs_busy(void*);
[[gnu::noinline]] void waits_in_own(int* got);
[[gnu::noinline]] void waits_in_stdio(int* got);

struct Search {
  void* wanted;
  bool found;
};

_Unwind_Reason_Code look(_Unwind_Context* context, void* data) {
  auto* search = static_cast<Search*>(data);
  int before = 0;
  const uintptr_t ip = _Unwind_GetIPInfo(context, &before) - (before != 0 ? 0 : 1);
  if (_Unwind_FindEnclosingFunction(reinterpret_cast<void*>(ip)) == search->wanted) {
    search->found = true;
  }
  return _URC_NO_REASON;
}

bool is_below(void (*function)()) {
  Search search{reinterpret_cast<void*>(function), false};
  _Unwind_Backtrace(look, &search);
  return search.found;
}

// --- at random instants ---

void on_tick(int) { ++(is_below(reinterpret_cast<void (*)()>(runs_busy)) ? seen : lost); }

void busy() {
  const int zero = open("/dev/zero", O_RDONLY);
  const int64_t end = mono_ns() + MS(1000);
  while (seen + lost < 2000 && mono_ns() < end) {
    char c;
    for (int i = 0; i < 20; ++i) {
      own_getppid();
      CHECK(own_read(zero, &c, 1) == 1);
      getppid();
      CHECK(read(zero, &c, 1) == 1);
      sched_yield();
    }
  }
  close(zero);
}

void* runs_busy(void*) {
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  pthread_sigmask(SIG_UNBLOCK, &alarm, nullptr);
  busy();
  pthread_sigmask(SIG_BLOCK, &alarm, nullptr);
  return nullptr;
}

// --- while waiting ---

int ends[2];
sem_t entered;

template <auto function>
void on_poke(int) {
  ++(is_below(reinterpret_cast<void (*)()>(function)) ? seen : lost);
}

void on_throw(int) { throw 7; }

void waits_in_own(int* got) {
  char c;
  sem_post(&entered);
  *got = static_cast<int>(own_read(ends[0], &c, 1));
  asm volatile("" ::: "memory");  // no tail call
}

void waits_in_stdio(int* got) {
  FILE* file = fdopen(dup(ends[0]), "r");
  setvbuf(file, nullptr, _IONBF, 0);
  sem_post(&entered);
  *got = fgetc(file);
  fclose(file);
}

template <auto function>
void* runs(void* got) {
  function(static_cast<int*>(got));
  return got;
}

void* catches(void* got) {
  try {
    waits_in_own(static_cast<int*>(got));
  } catch (int n) {
    *static_cast<int*>(got) = n;
  }
  return got;
}

struct Mark {
  explicit Mark(int* at) : at(at) {}
  ~Mark() { *at += 1; }
  int* at;
};

void* is_cancelled(void* count) {
  Mark mark(static_cast<int*>(count));
  CHECK_RC(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, nullptr));
  int got;
  waits_in_own(&got);
  return nullptr;
}

void* is_cancelled_in_libc(void* count) {
  Mark mark(static_cast<int*>(count));
  int got;
  waits_in_stdio(&got);
  return nullptr;
}

void handle(int signal, void (*handler)(int), int flags) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  CHECK_OK(sigaction(signal, &action, nullptr));
}

template <auto function>
void poke_waiting(const char* what) {
  seen = lost = 0;
  handle(SIGUSR1, on_poke<function>, SA_RESTART);
  int got = 0;
  const pthread_t thread = start_thread(runs<function>, &got);
  sem_take(&entered);
  for (int i = 1; i <= 50; ++i) {
    settle();
    CHECK_RC(pthread_kill(thread, SIGUSR1));
    while (seen + lost < i) usleep(100);
  }
  CHECK(write(ends[1], "x", 1) == 1);
  join_thread(thread);
  CHECK(lost == 0);
  pass(what);
}

}  // namespace

int main() {
  CHECK_OK(pipe(ends));
  CHECK_OK(sem_init(&entered, 0, 0));
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  pthread_sigmask(SIG_BLOCK, &alarm, nullptr);
  handle(SIGALRM, on_tick, SA_RESTART);
  const itimerval period = {{0, 313}, {0, 313}};
  const pthread_t thread = start_thread(runs_busy, nullptr);
  CHECK_OK(setitimer(ITIMER_REAL, &period, nullptr));
  join_thread(thread);
  const itimerval never = {};
  CHECK_OK(setitimer(ITIMER_REAL, &never, nullptr));
  CHECK(seen > 20);
  CHECK(lost == 0);
  pass("a handler sees whom it interrupted at any instant");

  poke_waiting<waits_in_own>("a handler sees who waits in a system call of the program");
  poke_waiting<waits_in_stdio>("a handler sees who waits in libc");

  handle(SIGUSR1, on_throw, SA_NODEFER);
  for (int i = 0; i < 20; ++i) {
    int got = 0;
    const pthread_t thrown_at = start_thread(catches, &got);
    sem_take(&entered);
    settle();
    CHECK_RC(pthread_kill(thrown_at, SIGUSR1));
    join_thread(thrown_at);
    CHECK(got == 7);
  }
  pass("an exception of a handler leaves the wait");

  int count = 0;
  for (int i = 0; i < 20; ++i) {
    const pthread_t cancelled =
        start_thread(i % 2 == 0 ? is_cancelled : is_cancelled_in_libc, &count);
    sem_take(&entered);
    settle();
    CHECK_RC(pthread_cancel(cancelled));
    CHECK(join_thread(cancelled) == PTHREAD_CANCELED);
    CHECK(count == i + 1);
  }
  pass("a cancelled wait is unwound");
  return 0;
}
