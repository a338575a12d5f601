#include "interpose/kernel/seccomp_filter.hpp"

#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include <cerrno>
#include <cstdint>
#include <iterator>

#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

struct Needed {
  long number;
  const char* name;
};

// What hubs, signals, memory and pool threads are made of.
constexpr Needed kNeeded[] = {
    {SYS_epoll_pwait2, "epoll_pwait2"},
    {SYS_epoll_ctl, "epoll_ctl"},
    {SYS_ppoll, "ppoll"},
    {SYS_write, "write"},
    {SYS_close, "close"},
    {SYS_futex, "futex"},
    {SYS_mmap, "mmap"},
    {SYS_munmap, "munmap"},
    {SYS_madvise, "madvise"},
    {SYS_rt_sigaction, "rt_sigaction"},
    {SYS_rt_sigprocmask, "rt_sigprocmask"},
    {SYS_rt_sigreturn, "rt_sigreturn"},
    {SYS_sigaltstack, "sigaltstack"},
    {SYS_tgkill, "tgkill"},
    {SYS_getpid, "getpid"},
    {SYS_gettid, "gettid"},
    {SYS_sched_yield, "sched_yield"},
    {SYS_clone, "clone"},
    {SYS_exit, "exit"},
    {SYS_exit_group, "exit_group"},
    {SYS_prctl, "prctl"},
    {SYS_timer_create, "timer_create"},
    {SYS_timer_settime, "timer_settime"},
    {SYS_fcntl, "fcntl"},
    {SYS_ioctl, "ioctl"},
};

uint32_t apply(uint32_t operation, uint32_t a, uint32_t b) noexcept {
  switch (BPF_OP(operation)) {
    case BPF_ADD:
      return a + b;
    case BPF_SUB:
      return a - b;
    case BPF_MUL:
      return a * b;
    case BPF_DIV:
      return b != 0 ? a / b : 0;
    case BPF_OR:
      return a | b;
    case BPF_AND:
      return a & b;
    case BPF_XOR:
      return a ^ b;
    case BPF_LSH:
      return b < 32 ? a << b : 0;
    case BPF_RSH:
      return b < 32 ? a >> b : 0;
    default:
      return 0 - a;  // BPF_NEG
  }
}

bool holds(uint32_t operation, uint32_t a, uint32_t b) noexcept {
  switch (BPF_OP(operation)) {
    case BPF_JEQ:
      return a == b;
    case BPF_JGT:
      return a > b;
    case BPF_JGE:
      return a >= b;
    default:
      return (a & b) != 0;  // BPF_JSET
  }
}

// Classic BPF as seccomp(2) allows it. What the Linux kernel would not take is its own to refuse.
uint32_t run(const sock_filter* program, size_t length, const seccomp_data& data) noexcept {
  uint32_t a = 0;
  uint32_t x = 0;
  uint32_t memory[BPF_MEMWORDS] = {};
  const auto* words = reinterpret_cast<const uint32_t*>(&data);
  for (size_t at = 0; at < length; ++at) {
    const sock_filter& i = program[at];
    const uint32_t operand = BPF_SRC(i.code) == BPF_X ? x : i.k;
    switch (BPF_CLASS(i.code)) {
      case BPF_LD:
      case BPF_LDX: {
        uint32_t value = i.k;  // BPF_IMM
        if (BPF_MODE(i.code) == BPF_ABS) {
          value = i.k / 4 < sizeof data / 4 ? words[i.k / 4] : 0;
        } else if (BPF_MODE(i.code) == BPF_MEM) {
          value = i.k < BPF_MEMWORDS ? memory[i.k] : 0;
        } else if (BPF_MODE(i.code) == BPF_LEN) {
          value = sizeof data;
        }
        (BPF_CLASS(i.code) == BPF_LD ? a : x) = value;
        break;
      }
      case BPF_ST:
      case BPF_STX:
        if (i.k < BPF_MEMWORDS) memory[i.k] = BPF_CLASS(i.code) == BPF_ST ? a : x;
        break;
      case BPF_ALU:
        a = apply(i.code, a, operand);
        break;
      case BPF_JMP:
        at += BPF_OP(i.code) == BPF_JA ? i.k : holds(i.code, a, operand) ? i.jt : i.jf;
        break;
      case BPF_RET:
        return BPF_RVAL(i.code) == BPF_A ? a : i.k;
      default:  // BPF_MISC
        (BPF_MISCOP(i.code) == BPF_TAX ? x : a) = BPF_MISCOP(i.code) == BPF_TAX ? a : x;
        break;
    }
  }
  return SECCOMP_RET_ALLOW;
}

bool lets_through(uint32_t action) noexcept {
  switch (action & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG:
    case SECCOMP_RET_TRACE:       // somebody else decides
    case SECCOMP_RET_USER_NOTIF:  // likewise
      return true;
    default:
      return false;
  }
}

// What the Linux kernel itself may say of a call that no filter forbids: that there is no memory or
// no descriptor for it just now, or that a signal (the SIGCONT after a stop) has come.
bool is_passing_failure(long result) noexcept {
  return result == -EINTR || result == -EAGAIN || result == -ENOMEM || result == -EMFILE ||
         result == -ENFILE;
}

// In the process made for it: what it has come to is told by the exit status.
[[noreturn]] void try_calls() noexcept {
  constexpr int kDispatch = 59;  // PR_SET_SYSCALL_USER_DISPATCH
  static volatile char selector = 0;
  sigevent event{};
  event.sigev_notify = SIGEV_NONE;
  int timer = 0;
  int failed = 0;
  const timespec now{0, 0};
  const long set = rt::raw_syscall(SYS_epoll_create1, 0);
  char events[16];
  const auto check = [&](long result, int which) {
    if (result < 0 && failed == 0 && !is_passing_failure(result)) failed = which;
  };
  check(set, 1);
  if (set >= 0) check(rt::raw_syscall(SYS_epoll_pwait2, set, events, 1, &now, nullptr, 0), 2);
  check(rt::raw_syscall(SYS_ppoll, nullptr, 0, &now, nullptr, 0), 3);
  check(rt::raw_syscall(SYS_timer_create, CLOCK_THREAD_CPUTIME_ID, &event, &timer), 4);
  check(rt::raw_syscall(SYS_tgkill, rt::raw_syscall(SYS_getpid), rt::raw_syscall(SYS_gettid), 0),
        5);
  check(rt::raw_syscall(SYS_prctl, PR_SET_NAME, "probe"), 6);
  check(rt::raw_syscall(SYS_prctl, kDispatch, 1, 0, 1, &selector), 6);
  for (;;) rt::raw_syscall(SYS_exit_group, failed);
}

constexpr const char* kTried[] = {"epoll_create1", "epoll_pwait2", "ppoll",
                                  "timer_create",  "tgkill",       "prctl"};

}  // namespace

const char* forbidden_by_filter(const sock_filter* program, size_t length) noexcept {
  for (const Needed& needed : kNeeded) {
    seccomp_data data{};
    data.nr = static_cast<int>(needed.number);
    data.arch = AUDIT_ARCH_X86_64;
    if (!lets_through(run(program, length, data))) return needed.name;
  }
  return nullptr;
}

const char* forbidden_in_this_process(bool* is_filtered) noexcept {
  const long mode = rt::raw_syscall(SYS_prctl, PR_GET_SECCOMP);
  *is_filtered = mode == SECCOMP_MODE_FILTER;
  // It fails where the Linux kernel knows of no filters, too; what tells the name does not.
  char name[16];
  if (mode < 0 && rt::raw_syscall(SYS_prctl, PR_GET_NAME, name) < 0) return "prctl";
  if (!*is_filtered) return nullptr;
  const long child = rt::raw_syscall(SYS_clone, 0, 0, 0, 0, 0);  // tells nobody of its end
  if (child == 0) try_calls();
  int status = 0;
  long waited;
  do {
    waited = rt::raw_syscall(SYS_wait4, child, &status, __WALL, nullptr);
  } while (waited == -4 /* EINTR */);
  if (child < 0 || waited != child) return nullptr;  // nothing was found out
  if (WIFSIGNALED(status)) return "a system call that it kills processes for";
  const auto failed = static_cast<size_t>(WEXITSTATUS(status));
  return failed >= 1 && failed <= std::size(kTried) ? kTried[failed - 1] : nullptr;
}

}  // namespace tendril::kernel
