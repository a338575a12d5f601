#include "interpose/kernel/job_control.hpp"

#include <asm/termbits.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <csignal>

#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/restart.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "runtime/platform/runtime_mode.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

constexpr uint64_t kJobControl = signal_bit(SIGTTIN) | signal_bit(SIGTTOU);

// With those of the two signals blocked in the Linux kernel that the thread blocks; and all others,
// for their handlers might return to the mask of a worker before the call is made.
template <typename Call>
long under_mask(uint64_t blocked, Call&& call) noexcept {
  const rt::RuntimeSection section;  // the mask is the OS thread's: stay on it
  const uint64_t held = ~(kFaults | signal_bit(SIGSYS) | (kJobControl & ~blocked));
  uint64_t before = 0;
  rt::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &held, &before, sizeof before);
  const long result = call();
  rt::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, nullptr, sizeof before);
  return result;
}

// Who makes the call takes the signal that it brings about, and the call ends. If another worker
// took it the Linux kernel would make the call again, and send the signal again.
template <typename Call>
long as_only_taker(uint64_t blocked, Call&& call) noexcept {
  rt::SpinGuard guard(job_control_lock());
  signals().withhold(kJobControl & ~blocked);
  const long result = under_mask(blocked, call);
  signals().withhold(0);
  return result;
}

// In the background of a terminal: the call, for which the signal may be sent.
template <typename Call>
long in_background(int signal, Call&& call) noexcept {
  const uint64_t blocked = current_thread()->blocked & kJobControl;
  const bool may_be_sent = (blocked & signal_bit(signal)) == 0 &&
                           signals().action(signal).handler != reinterpret_cast<void*>(SIG_IGN);
  if (may_be_sent) return as_only_taker(blocked, call);
  return blocked != 0 ? under_mask(blocked, call) : call();
}

// Of a pseudo terminal, which answers for the terminal.
bool is_other_end(int fd) noexcept {
  unsigned number = 0;
  return rt::raw_syscall(SYS_ioctl, fd, TIOCGPTN, &number) == 0;
}

// Of the calling process, which is not in its foreground. The other end has no job control.
bool is_background_of(int fd) noexcept {
  int foreground = 0;
  if (rt::raw_syscall(SYS_ioctl, fd, TIOCGPGRP, &foreground) != 0) return false;
  if (foreground == rt::raw_syscall(SYS_getpgid, 0)) return false;
  return !is_other_end(fd);
}

}  // namespace

rt::SpinLock& job_control_lock() noexcept {
  static constinit rt::SpinLock lock;
  return lock;
}

long terminal_ioctl(int fd, unsigned long request, long argument) noexcept {
  const auto call = [&] { return rt::raw_syscall(SYS_ioctl, fd, request, argument); };
  const bool only_asks = request == TCGETS || request == TIOCGWINSZ;  // most are one of these
  if (only_asks || !is_background_of(fd)) return call();
  const long result = in_background(SIGTTOU, call);
  return result == -EINTR ? -kRestartSys : result;
}

long may_transfer(int fd, bool reading) noexcept {
  if (!is_background_of(fd)) return 0;
  if (!reading) {
    termios mode{};
    if (rt::raw_syscall(SYS_ioctl, fd, TCGETS, &mode) != 0 || (mode.c_lflag & TOSTOP) == 0)
      return 0;
  }
  // A transfer of nothing finds out what one of something would.
  const long result = in_background(reading ? SIGTTIN : SIGTTOU, [&] {
    char none = 0;
    return rt::raw_syscall(reading ? SYS_read : SYS_write, fd, &none, 0);
  });
  if (result == -EINTR) return -kRestartSys;
  return result < 0 ? result : 0;
}

long may_change_terminal(int fd) noexcept {
  if (!is_background_of(fd)) return 0;
  constexpr long kNoAction = 99;  // looked at after job control
  const long result = terminal_ioctl(fd, TCXONC, kNoAction);
  return result == -EIO || result == -kRestartSys ? result : 0;
}

bool reads_may_give_nothing(int fd) noexcept {
  termios mode{};
  return rt::raw_syscall(SYS_ioctl, fd, TCGETS, &mode) == 0 && (mode.c_lflag & ICANON) == 0 &&
         mode.c_cc[VMIN] == 0 && !is_other_end(fd);
}

bool is_pseudo_terminal(int fd) noexcept {
  constexpr unsigned kFirst = 136;  // Linux: UNIX 98 slaves
  constexpr unsigned kLast = 143;
  struct stat status;
  return rt::raw_syscall(SYS_fstat, fd, &status) == 0 && S_ISCHR(status.st_mode) &&
         major(status.st_rdev) >= kFirst && major(status.st_rdev) <= kLast;
}

}  // namespace tendril::kernel
