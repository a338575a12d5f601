#include "interpose/command/machine.hpp"

#include <gnu/libc-version.h>
#include <linux/prctl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace tendril::command {
namespace {

constexpr unsigned long kHwcap2Fsgsbase = 1UL << 1;  // HWCAP2_FSGSBASE of asm/hwcap2.h
constexpr int kMadvGuardInstall = 102;               // MADV_GUARD_INSTALL, newer than our headers

sigjmp_buf no_such_instruction;

}  // namespace

int dispatch_error() {
  // "Allow" throughout, so that no system call of this thread, the second prctl among them, traps.
  static volatile char selector = SYSCALL_DISPATCH_FILTER_ALLOW;
  if (::prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &selector) != 0) return errno;
  if (::prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0) != 0) return errno;
  return 0;
}

std::string dispatch_defect() {
  int error = dispatch_error();
  if (error == 0) return {};
  if (error == EINVAL)
    return kernel_name() +
           " has no Syscall User Dispatch, which green threads need; boot Linux 5.11 or newer";
  return std::string("Syscall User Dispatch is refused (") + std::strerror(error) +
         "); let the sandbox allow prctl(PR_SET_SYSCALL_USER_DISPATCH)";
}

std::string kernel_name() {
  utsname name;
  if (::uname(&name) != 0) return "this kernel";
  return std::string(name.sysname) + " " + name.release;
}

FsBase fs_base() {
  if ((::getauxval(AT_HWCAP2) & kHwcap2Fsgsbase) != 0) return FsBase::kByInstruction;
  struct sigaction ours {};
  struct sigaction theirs {};
  ours.sa_handler = [](int) { ::siglongjmp(no_such_instruction, 1); };
  if (::sigaction(SIGILL, &ours, &theirs) != 0) return FsBase::kBySystemCall;
  FsBase found = FsBase::kBySystemCall;
  if (sigsetjmp(no_such_instruction, 1) == 0) {
    std::uintptr_t base;
    asm volatile("rdfsbase %0" : "=r"(base));
    found = FsBase::kHidden;
  }
  ::sigaction(SIGILL, &theirs, nullptr);
  return found;
}

bool has_guard_install() {
  auto size = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  void* page = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return false;
  bool works = ::madvise(page, size, kMadvGuardInstall) == 0;
  ::munmap(page, size);
  return works;
}

std::string glibc_version() { return ::gnu_get_libc_version(); }

bool glibc_is_new_enough(const std::string& version) {
  int major = 0, minor = 0;
  if (std::sscanf(version.c_str(), "%d.%d", &major, &minor) != 2) return false;
  return major > 2 || (major == 2 && minor >= 34);
}

}  // namespace tendril::command
