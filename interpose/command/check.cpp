#include "interpose/command/check.hpp"

#include "interpose/command/executable.hpp"
#include "interpose/command/machine.hpp"
#include "interpose/command/message.hpp"
#include "interpose/command/refusal.hpp"
#include "interpose/command/shim.hpp"

namespace tendril::command {
namespace {

constexpr char kOldestGlibc[] = "2.34";

class ReportWriter {
 public:
  void good(const std::string& text) { line("ok  ", text); }
  void slower(const std::string& text) { line("slow", text); }  // works, at a price
  void bad(const std::string& text) {
    line("no  ", text);
    report_.ready = false;
  }
  Report take() { return std::move(report_); }

 private:
  void line(const char* verdict, const std::string& text) {
    report_.text += std::string(verdict) + " " + one_line(text) + "\n";
  }
  Report report_;
};

void check_machine(ReportWriter& report) {
  if (std::string defect = dispatch_defect(); defect.empty()) {
    report.good(kernel_name() + ": Syscall User Dispatch works");
  } else {
    report.bad(defect);
  }
  switch (fs_base()) {
    case FsBase::kByInstruction:
      report.good("processor: programs may switch the FS base themselves (FSGSBASE)");
      break;
    case FsBase::kHidden:
      report.good(
          "processor: programs may switch the FS base themselves (FSGSBASE); the kernel does not "
          "know, so a thread that was off its core has it put back");
      break;
    case FsBase::kBySystemCall:
      report.slower("processor: no FSGSBASE, so a switch of green threads costs a system call");
      break;
  }
  if (has_guard_install()) {
    report.good("guard pages: MADV_GUARD_INSTALL works");
  } else {
    report.slower(
        "guard pages: no MADV_GUARD_INSTALL (Linux 6.13), so guarded stacks cost a "
        "mapping each");
  }
  std::string version = glibc_version();
  if (glibc_is_new_enough(version)) {
    report.good("glibc " + version);
  } else {
    report.bad("glibc " + version + ": use a system with glibc " + kOldestGlibc + " or newer");
  }
}

void check_shim(ReportWriter& report, const Environment& environment) {
  try {
    std::string shim = find_shim(environment);
    if (std::string error = shim_load_error(shim, environment); error.empty()) {
      report.good("shim: " + shim);
    } else {
      report.bad("shim: " + shim + ": " + error);
    }
  } catch (const Refusal& refusal) {
    report.bad(refusal.what());
  }
}

void check_program(ReportWriter& report, const std::string& name, const Environment& environment) {
  try {
    report.good(name + ": " + find_executable({name}, environment).runs);
  } catch (const Refusal& refusal) {
    report.bad(refusal.what());
  }
}

}  // namespace

Report check(const std::vector<std::string>& programs, const Environment& environment) {
  ReportWriter report;
  check_machine(report);
  check_shim(report, environment);
  for (const std::string& program : programs) check_program(report, program, environment);
  return report.take();
}

}  // namespace tendril::command
