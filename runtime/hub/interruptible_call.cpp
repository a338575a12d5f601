#include "runtime/hub/interruptible_call.hpp"

#include "runtime/platform/forgotten_fs_base.hpp"
#include "runtime/platform/syscall.hpp"

extern "C" {
long tendril_interruptible_call(const volatile int* interrupted, long number,
                                const long* arguments);
extern const char tendril_interruptible_begin[];
extern const char tendril_interruptible_end[];
extern const char tendril_interruptible_abort[];
}

namespace tendril::rt {
namespace {
int interrupt_signal = 0;
}

long interruptible_call(const volatile int* interrupted, long number,
                        const long (&arguments)[6]) noexcept {
  const long result = tendril_interruptible_call(interrupted, number, arguments);
  put_back_fs_base();
  return result;
}

void set_interrupt_signal(int signal) noexcept { interrupt_signal = signal; }

bool calls_are_interruptible() noexcept { return interrupt_signal != 0; }

uint64_t interrupt_signal_bit() noexcept {
  return interrupt_signal != 0 ? uint64_t{1} << (interrupt_signal - 1) : 0;
}

void interrupt_call(int os_tid) noexcept {
  if (interrupt_signal == 0) return;
  raw_syscall(SYS_tgkill, raw_syscall(SYS_getpid), os_tid, interrupt_signal);
}

void leave_interruptible_call(ucontext_t* frame) noexcept {
  greg_t& rip = frame->uc_mcontext.gregs[REG_RIP];
  const auto* at = reinterpret_cast<const char*>(rip);
  if (at >= tendril_interruptible_begin && at < tendril_interruptible_end) {
    rip = reinterpret_cast<greg_t>(tendril_interruptible_abort);
  }
}

}  // namespace tendril::rt
