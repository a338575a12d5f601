#include "interpose/kernel/stack_printer.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "interpose/kernel/report.hpp"
#include "runtime/platform/forgotten_fs_base.hpp"
#include "runtime/platform/syscall.hpp"

namespace tendril::kernel {
namespace {

constexpr char kProgram[] = "tendril-stacks";
constexpr int kCannotRun = 127;
char path[4096];  // empty: not found out

// A line of the list: "tid ip sp bp name\n", addresses in decimal.
class Line {
 public:
  void number(uint64_t value) noexcept {
    char digits[24];
    int count = 0;
    do {
      digits[count++] = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value != 0);
    while (count > 0) text_[length_++] = digits[--count];
    text_[length_++] = ' ';
  }
  void end_with(const char* name) noexcept {
    while (*name != '\0') {
      text_[length_++] = *name == '\n' ? ' ' : *name;
      ++name;
    }
    text_[length_++] = '\n';
  }
  const char* text() const noexcept { return text_; }
  size_t length() const noexcept { return length_; }

 private:
  char text_[4 * 24 + 20];
  size_t length_ = 0;
};

// In the child: a copy of this process, with every signal blocked.
[[noreturn]] void become_printer(int list, const char* pid) noexcept {
  const char* arguments[] = {path, pid, nullptr};
  // Nothing of the program's environment: the printer must not become green.
  const char* environment[] = {nullptr};
  rt::raw_syscall(SYS_lseek, list, 0, SEEK_SET);
  const int report = report_descriptor();
  if (report < 0) rt::raw_syscall(SYS_exit_group, kCannotRun);
  if (report != 2) rt::raw_syscall(SYS_dup2, report, 2);
  rt::raw_syscall(SYS_dup2, list, 0);
  rt::raw_syscall(SYS_dup2, 2, 1);
  // The program's: an end of a pipe in our hands would keep others waiting.
  rt::raw_syscall(SYS_close_range, 3, ~0U, 0);
  rt::raw_syscall(SYS_execve, path, arguments, environment);
  for (;;) rt::raw_syscall(SYS_exit_group, kCannotRun);
}

}  // namespace

void find_stack_printer() noexcept {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(find_stack_printer), &info) == 0) return;
  static char shim[sizeof path];  // the stack may be a small one
  // What the loader was given may be relative to a folder that the program leaves.
  if (realpath(info.dli_fname, shim) == nullptr) return;
  const auto directory = static_cast<size_t>(std::strrchr(shim, '/') + 1 - shim);
  if (directory + sizeof kProgram > sizeof path) return;
  std::memcpy(path, shim, directory);
  std::memcpy(path + directory, kProgram, sizeof kProgram);
}

StackPrinter::StackPrinter() noexcept
    : list_(static_cast<int>(rt::raw_syscall(SYS_memfd_create, "stacks", MFD_CLOEXEC))) {}

StackPrinter::~StackPrinter() {
  if (list_ >= 0) rt::raw_syscall(SYS_close, list_);
}

void StackPrinter::add(int tid, const char* name, const CallSite& site) noexcept {
  if (list_ < 0) return;
  Line line;
  line.number(static_cast<uint64_t>(tid));
  line.number(site.ip);
  line.number(site.sp);
  line.number(site.bp);
  line.end_with(name);
  rt::raw_syscall(SYS_write, list_, line.text(), line.length());
}

void StackPrinter::print() noexcept {
  if (path[0] == '\0' || list_ < 0) {
    Report()
        .text("tendril:   no stacks: the shim's place or a memory file could not be had")
        .send();
    return;
  }
  Line pid;
  pid.number(static_cast<uint64_t>(rt::raw_syscall(SYS_getpid)));
  char pid_text[24] = {};
  std::memcpy(pid_text, pid.text(), pid.length() - 1);
  rt::tell_kernel_fs_base();
  uint64_t everything = ~uint64_t{0};
  uint64_t mask = 0;
  rt::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &everything, &mask, 8);
  // Where the kernel has Yama, only who was allowed to may read another's memory. Elsewhere this is
  // an error that means nothing.
  rt::raw_syscall(SYS_prctl, PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
  // A copy of the process rather than vfork, which would need a stack of its own; and a child that
  // ends without SIGCHLD and that the program's own waits do not see.
  const long child = rt::raw_syscall(SYS_clone, 0, 0, 0, 0, 0);
  if (child == 0) become_printer(list_, pid_text);
  int status = 0;
  long waited = child;
  if (child > 0) {
    do {
      waited = rt::raw_syscall(SYS_wait4, child, &status, __WALL, nullptr);
    } while (waited == -EINTR);
  }
  rt::raw_syscall(SYS_prctl, PR_SET_PTRACER, 0, 0, 0, 0);
  rt::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, 8);
  rt::withdraw_fs_base();
  if (waited < 0 || status != 0) {
    Report report;
    report.text("tendril:   no stacks: ").text(path);
    if (waited < 0) {
      report.text(" could not be started (error ").number(-waited).text(")");
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == kCannotRun) {
      report.text(" cannot be executed; build or install it again");
    } else {
      report.text(" failed (wait status ").number(status).text(")");
    }
    report.send();
  }
}

}  // namespace tendril::kernel
