// A system call changes RAX, RCX and R11, and nothing else: no general register, no flag, no vector
// or mask register, whatever they hold and however often the thread is interrupted meanwhile.
#include <sys/time.h>

#include <cstddef>

#include "check.h"

namespace {

// As the assembly below lays it out.
struct State {
  uint64_t general[16];  // in the order of their numbers; RSP is not set
  uint64_t flags;
  uint64_t masks[8];
  alignas(64) uint64_t vectors[32][8];
};
static_assert(offsetof(State, masks) == 136 && offsetof(State, vectors) == 256);

struct Job {
  State before;
  State after;
  // How wide vectors are: 0 SSE, 1 AVX, 2 AVX-512, 3 the same with upper halves cleared.
  uint64_t level;
};
static_assert(offsetof(Job, after) == 2304 && offsetof(Job, level) == 4608);

using Routine = void(Job*);

}  // namespace

// void call_NUMBER(Job*): loads `before`, makes the call, stores `after`.
#define CALLER(NUMBER)                 \
  extern "C" void call_##NUMBER(Job*); \
  asm(".text\n.type call_" #NUMBER     \
      ", @function\n"                  \
      "call_" #NUMBER                  \
      ":\n"                            \
      ".cfi_startproc\n"               \
      "call registers_load\n"          \
      "movl $" #NUMBER                 \
      ", %eax\n"                       \
      "syscall\n"                      \
      "jmp registers_store\n"          \
      ".cfi_endproc\n"                 \
      ".size call_" #NUMBER ", .-call_" #NUMBER "\n")

asm(R"(
    .text
    .macro each_xmm what
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    \what \n
    .endr
    .endm
    .macro each_zmm what
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    \what \n
    .endr
    .endm
    .macro load_xmm n
    movdqu 256+64*\n(%rdi), %xmm\n
    .endm
    .macro load_ymm n
    vmovdqu 256+64*\n(%rdi), %ymm\n
    .endm
    .macro load_zmm n
    vmovdqu64 256+64*\n(%rdi), %zmm\n
    .endm
    .macro store_xmm n
    movdqu %xmm\n, 256+64*\n(%rdi)
    .endm
    .macro store_ymm n
    vmovdqu %ymm\n, 256+64*\n(%rdi)
    .endm
    .macro store_zmm n
    vmovdqu64 %zmm\n, 256+64*\n(%rdi)
    .endm

    // Leaves on the stack, above the return address: the job, and what its caller wants back.
    .type registers_load, @function
registers_load:
    popq %rax
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdi
    pushq %rax
    cmpq $1, 4608(%rdi)
    jb 1f
    je 2f
    each_zmm load_zmm
    .irp n, 0,1,2,3,4,5,6,7
    kmovq 136+8*\n(%rdi), %k\n
    .endr
    cmpq $2, 4608(%rdi)
    je 3f
    vzeroupper
    jmp 3f
1:  each_xmm load_xmm
    jmp 3f
2:  each_xmm load_ymm
3:  pushq 128(%rdi)
    movq 8(%rdi), %rcx
    movq 16(%rdi), %rdx
    movq 24(%rdi), %rbx
    movq 40(%rdi), %rbp
    movq 48(%rdi), %rsi
    movq 64(%rdi), %r8
    movq 72(%rdi), %r9
    movq 80(%rdi), %r10
    movq 88(%rdi), %r11
    movq 96(%rdi), %r12
    movq 104(%rdi), %r13
    movq 112(%rdi), %r14
    movq 120(%rdi), %r15
    movq 56(%rdi), %rdi
    popfq
    ret
    .size registers_load, .-registers_load

    .type registers_store, @function
registers_store:
    pushfq
    pushq %rdi
    movq 16(%rsp), %rdi
    leaq 2304(%rdi), %rdi
    movq %rax, 0(%rdi)
    movq %rdx, 16(%rdi)
    movq %rbx, 24(%rdi)
    movq %rbp, 40(%rdi)
    movq %rsi, 48(%rdi)
    popq 56(%rdi)
    movq %r8, 64(%rdi)
    movq %r9, 72(%rdi)
    movq %r10, 80(%rdi)
    movq %r12, 96(%rdi)
    movq %r13, 104(%rdi)
    movq %r14, 112(%rdi)
    movq %r15, 120(%rdi)
    popq 128(%rdi)
    cld
    cmpq $1, 4608-2304(%rdi)
    jb 1f
    je 2f
    each_zmm store_zmm
    .irp n, 0,1,2,3,4,5,6,7
    kmovq %k\n, 136+8*\n(%rdi)
    .endr
    vzeroupper
    jmp 3f
1:  each_xmm store_xmm
    jmp 3f
2:  each_xmm store_ymm
    vzeroupper
3:  popq %rdi
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret
    .size registers_store, .-registers_store
)");

CALLER(0);     // read
CALLER(1);     // write
CALLER(7);     // poll
CALLER(16);    // ioctl
CALLER(24);    // sched_yield
CALLER(35);    // nanosleep
CALLER(39);    // getpid
CALLER(110);   // getppid
CALLER(186);   // gettid
CALLER(202);   // futex
CALLER(228);   // clock_gettime
CALLER(271);   // ppoll
CALLER(500);   // none
CALLER(9999);  // none

namespace {

enum { kRax, kRcx, kRdx, kRbx, kRsp, kRbp, kRsi, kRdi, kR8, kR9, kR10, kR11 };
constexpr uint64_t kArithmetic = 0x8d5;  // CF PF AF ZF SF OF
constexpr uint64_t kDirection = 0x400;

struct Call {
  Routine* routine;
  const char* name;
  int arguments;  // how many it looks at; the others are random
};
const Call kCalls[] = {
    {call_0, "read", 3},          {call_1, "write", 3},           {call_7, "poll", 3},
    {call_16, "ioctl", 3},        {call_24, "yield", 0},          {call_35, "nanosleep", 2},
    {call_39, "getpid", 0},       {call_110, "getppid", 0},       {call_186, "gettid", 0},
    {call_202, "futex", 6},       {call_228, "clock_gettime", 2}, {call_271, "ppoll", 5},
    {call_500, "no call 500", 0}, {call_9999, "no call 9999", 0},
};

uint64_t next_random(uint64_t* seed) {  // xorshift64*
  *seed ^= *seed >> 12;
  *seed ^= *seed << 25;
  *seed ^= *seed >> 27;
  return *seed * 0x2545F4914F6CDD1DULL;
}

uint64_t level() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")) return 2;
  return __builtin_cpu_supports("avx") ? 1 : 0;
}

struct Resources {
  int zero, null, full[2];  // full: of both ends of a pipe, nothing in it
  char buffer[64];
  uint32_t word = 1;
  timespec moment = {0, 20000};
  timespec time;
  pollfd poll;
};

void set_arguments(State& state, size_t which, Resources& r, uint64_t random) {
  const auto set = [&](int place, uint64_t value) {
    constexpr int kPlaces[] = {kRdi, kRsi, kRdx, kR10, kR8, kR9};
    state.general[kPlaces[place]] = value;
  };
  const auto address = [](void* p) { return reinterpret_cast<uint64_t>(p); };
  switch (which) {
    case 0:
      set(0, random % 8 == 0 ? 999 : static_cast<uint64_t>(r.zero));
      set(1, random % 8 == 1 ? 16 : address(r.buffer));
      set(2, sizeof r.buffer);
      break;
    case 1:
      set(0, static_cast<uint64_t>(r.null));
      set(1, address(r.buffer));
      set(2, sizeof r.buffer);
      break;
    case 2:
    case 11:
      r.poll = {random % 4 == 0 ? r.full[0] : r.full[1], POLLIN | POLLOUT, 0};
      set(0, address(&r.poll));
      set(1, 1);
      set(2, which == 2 ? 1 : address(&r.moment));
      set(3, 0);
      set(4, 8);
      break;
    case 3:
      set(0, static_cast<uint64_t>(r.full[0]));
      set(1, 0x541b);  // FIONREAD
      set(2, address(&r.word) + 0);
      break;
    case 5:
      r.moment = {0, 20000};
      set(0, address(&r.moment));
      set(1, 0);
      break;
    case 9:
      r.word = 1;
      set(0, address(&r.word));
      set(1, random % 2 == 0 ? 129 : 128);  // wake, or wait for what it is not
      set(2, 7);
      set(3, 0);
      break;
    case 10:
      set(0, CLOCK_MONOTONIC);
      set(1, address(&r.time));
      break;
    default:
      break;
  }
}

void compare(const Job& job, const Call& call, int round) {
  const auto differs = [&](const char* what, int number, uint64_t before, uint64_t after) {
    if (before == after) return;
    FAIL("%s, round %d: %s %d was %#llx and is %#llx", call.name, round, what, number,
         static_cast<unsigned long long>(before), static_cast<unsigned long long>(after));
  };
  for (int i = 0; i < 16; ++i) {
    if (i == kRax || i == kRcx || i == kRsp || i == kR11) continue;
    differs("general register", i, job.before.general[i], job.after.general[i]);
  }
  constexpr uint64_t kFlags = kArithmetic | kDirection;
  differs("flags", 0, job.before.flags & kFlags, job.after.flags & kFlags);
  const int words = job.level == 0 ? 2 : job.level == 1 ? 4 : 8;
  for (int i = 0; i < (job.level >= 2 ? 32 : 16); ++i) {
    for (int w = 0; w < words; ++w) {
      differs("vector register", i, job.before.vectors[i][w], job.after.vectors[i][w]);
    }
  }
  for (int i = 0; i < (job.level >= 2 ? 8 : 0); ++i) {
    differs("mask register", i, job.before.masks[i], job.after.masks[i]);
  }
}

void* calls(void* argument) {
  enum { kRounds = 60000 };
  uint64_t seed = reinterpret_cast<uintptr_t>(argument) * 0x9E3779B97F4A7C15ULL + 1;
  Resources resources;
  resources.zero = open("/dev/zero", O_RDONLY);
  resources.null = open("/dev/null", O_WRONLY);
  CHECK(resources.zero >= 0 && resources.null >= 0);
  CHECK_OK(pipe(resources.full));
  static thread_local Job job;
  for (int round = 0; round < kRounds; ++round) {
    for (uint64_t& value : job.before.general) value = next_random(&seed);
    job.before.flags = 0x202 | (next_random(&seed) & (kArithmetic | kDirection));
    for (uint64_t& value : job.before.masks) value = next_random(&seed);
    for (auto& vector : job.before.vectors) {
      for (uint64_t& value : vector) value = next_random(&seed);
    }
    job.level = level();
    if (job.level > 0 && next_random(&seed) % 4 == 0) --job.level;  // upper parts unused
    if (job.level == 2 && next_random(&seed) % 2 == 0) {
      job.level = 3;
      for (int i = 0; i < 16; ++i) {
        for (int w = 2; w < 8; ++w) job.before.vectors[i][w] = 0;
      }
    }
    uint64_t which = next_random(&seed) % (sizeof kCalls / sizeof *kCalls);
    const bool sleeps = which == 2 || which == 5 || which == 11;
    if (sleeps && next_random(&seed) % 16 != 0) which = 7;  // these take their time
    set_arguments(job.before, which, resources, next_random(&seed));
    kCalls[which].routine(&job);
    compare(job, kCalls[which], round);
  }
  close(resources.zero);
  close(resources.null);
  close(resources.full[0]);
  close(resources.full[1]);
  return nullptr;
}

// Uses registers as handlers do.
void on_tick(int) {
  volatile double sum = 0;
  char text[64];
  for (int i = 0; i < 8; ++i) sum = sum + i * 1.5;
  memset(text, static_cast<int>(sum), sizeof text);
  asm volatile("" ::"r"(text) : "memory");
}

}  // namespace

int main() {
  enum { kThreads = 4 };
  struct sigaction action = {};
  action.sa_handler = on_tick;
  action.sa_flags = SA_RESTART;
  CHECK_OK(sigaction(SIGALRM, &action, nullptr));
  const itimerval period = {{0, 2311}, {0, 2311}};
  CHECK_OK(setitimer(ITIMER_REAL, &period, nullptr));
  pthread_t threads[kThreads];
  for (uintptr_t i = 0; i < kThreads; ++i) {
    threads[i] = start_thread(calls, reinterpret_cast<void*>(i + 1));
  }
  for (pthread_t thread : threads) join_thread(thread);
  const itimerval never = {};
  CHECK_OK(setitimer(ITIMER_REAL, &never, nullptr));
  pass("all but RAX, RCX and R11 is kept");
  return 0;
}
