// pidfd_send_signal(2)
#include <fcntl.h>
#include <signal.h>

#include <cerrno>
#include <cstring>

#include "interpose/kernel/proc_files.hpp"
#include "interpose/kernel/syscalls.hpp"
#include "interpose/kernel/user_memory.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

constexpr unsigned kToThread = 1;   // PIDFD_SIGNAL_THREAD
constexpr unsigned kToProcess = 2;  // PIDFD_SIGNAL_THREAD_GROUP

// Of a pidfd, or of a directory /proc/PID, which the kernel takes for one: does it mean us?
bool is_own_process(int fd) noexcept {
  char self[16];  // our number as /proc has it
  if (fd < 0 || read_link("/proc/self", self) == 0) return false;
  char link[32];
  if (read_link(ProcPath("/proc/self/fd/", fd).text(), link) == 0) return false;
  constexpr char kProc[] = "/proc/";
  if (std::strncmp(link, kProc, sizeof kProc - 1) == 0) {
    return std::strcmp(link + sizeof kProc - 1, self) == 0;
  }
  long own = 0;
  for (const char* digit = self; *digit != '\0'; ++digit) own = own * 10 + (*digit - '0');
  return number_in_file(ProcPath("/proc/self/fdinfo/", fd).text(), "\nPid:\t") == own;
}

}  // namespace

// To ourselves we deliver, as in sys_kill: before this call returns.
long sys_pidfd_send_signal(int fd, int signal, siginfo_t* info, unsigned flags) {
  if ((flags != 0 && flags != kToThread && flags != kToProcess) || !is_own_process(fd)) {
    return rt::raw_syscall(SYS_pidfd_send_signal, fd, signal, info, flags);
  }
  const int pid = static_cast<int>(rt::raw_syscall(SYS_getpid));
  if (info == nullptr) {
    return flags == kToThread ? sys_tgkill(pid, pid, signal) : sys_kill(pid, signal);
  }
  int number = 0;
  if (copy_in(&number, &info->si_signo) != 0) return -EFAULT;
  if (number != signal) return -EINVAL;
  return flags == kToThread ? sys_rt_tgsigqueueinfo(pid, pid, signal, info)
                            : sys_rt_sigqueueinfo(pid, signal, info);
}

}  // namespace tendril::kernel
