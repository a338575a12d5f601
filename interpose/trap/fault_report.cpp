#include "interpose/trap/fault_report.hpp"

#include "interpose/kernel/report.hpp"

namespace tendril::trap {

void report_stack_overflow(const kernel::GreenThread* thread, const void* address,
                           const ucontext_t* frame) noexcept {
  const auto at = reinterpret_cast<uintptr_t>(address);
  const auto sp = static_cast<uintptr_t>(frame->uc_mcontext.gregs[REG_RSP]);
  constexpr uintptr_t kLargeFrame = 65536;
  if (at > sp + 128 || sp - at > kLargeFrame) return;
  kernel::Report report;
  report.text("tendril: stack overflow of green thread ").number(thread->tid);
  if (thread->name[0] != '\0') report.text(" \"").text(thread->name).text("\"");
  report.text(" at address ").hex(at);
  report.text("; raise its size with --stack-size (or pthread_attr_setstacksize)");
  report.send();
}

}  // namespace tendril::trap
