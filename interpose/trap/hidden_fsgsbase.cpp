#include "interpose/trap/hidden_fsgsbase.hpp"

#include <fcntl.h>
#include <sys/ucontext.h>

#include <csignal>

#include "interpose/kernel/signal_queue.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/worker_state.hpp"
#include "interpose/trap/fs_base.h"
#include "interpose/trap/selector.hpp"
#include "runtime/hub/worker.hpp"
#include "runtime/platform/forgotten_fs_base.hpp"
#include "runtime/platform/syscall.hpp"
#include "runtime/platform/thread_registers.hpp"

extern "C" void tendril_restore_rt();

namespace tendril::trap {
namespace {

static_assert(UNREACHABLE_FS_BASE == rt::kUnreachableFsBase &&
              RUNNING_FIBER_IN_WORKER == rt::kRunningFiberInWorker &&
              FS_BASE_IN_FIBER == rt::kFsBaseInFiber);

constexpr unsigned long kSaRestorer = 0x04000000;
constexpr greg_t kLengthOfRead = 5;  // f3 48 0f ae c0

void skip_read(int, siginfo_t*, void* context) {
  greg_t* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  registers[REG_RIP] += kLengthOfRead;
  registers[REG_RAX] = 0;
}

// Whether the CPU runs the instruction: the program's disposition of SIGILL stands aside for it.
bool can_read_fs_base() noexcept {
  const kernel::KernelAction ours{reinterpret_cast<void*>(skip_read), SA_SIGINFO | kSaRestorer,
                                  reinterpret_cast<void*>(tendril_restore_rt), 0};
  kernel::KernelAction theirs;
  const uint64_t set = kernel::signal_bit(SIGILL);
  uint64_t mask = 0;
  if (rt::raw_syscall(SYS_rt_sigaction, SIGILL, &ours, &theirs, kernel::kSetSize) != 0)
    return false;
  rt::raw_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, &mask, kernel::kSetSize);
  uintptr_t base;
  asm volatile(".byte 0xf3, 0x48, 0x0f, 0xae, 0xc0" : "=a"(base));  // rdfsbase %rax
  rt::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, nullptr, kernel::kSetSize);
  rt::raw_syscall(SYS_rt_sigaction, SIGILL, &theirs, nullptr, kernel::kSetSize);
  return base == rt::get_fs_base();
}

// "TracerPid:\t0" in /proc/self/status, which has a hundred bytes or two before it.
bool is_traced() noexcept {
  char text[512];
  const long fd = rt::raw_syscall(SYS_open, "/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const long length = rt::raw_syscall(SYS_read, fd, text, sizeof text);
  rt::raw_syscall(SYS_close, fd);
  constexpr char kKey[] = "TracerPid:\t";
  constexpr long kKeyLength = sizeof kKey - 1;
  for (long at = 0; at + kKeyLength < length; ++at) {
    if (__builtin_memcmp(text + at, kKey, kKeyLength) == 0) return text[at + kKeyLength] != '0';
  }
  return false;
}

}  // namespace

void note_lost_base(const ucontext_t* frame) noexcept {
  constexpr int kOften = 8;
  // Looked up once: where it is a thread-local, it is out of reach again after a system call that
  // the tracer has stopped.
  rt::Worker* const worker = rt::current_worker_unchecked();
  auto& last = kernel::state_of(worker)->lost_base;
  const greg_t* registers = frame->uc_mcontext.gregs;
  const bool again = last.rip == registers[REG_RIP] && last.rsp == registers[REG_RSP];
  last = {registers[REG_RIP], registers[REG_RSP], again ? last.times + 1 : 0};
  if (last.times < kOften) return;
  last.times = 0;
  if (!is_traced()) return;
  const bool was_in_runtime = in_runtime();
  enter_runtime();
  rt::fsgsbase_usable = false;
  rt::set_fs_base_by_kernel(worker->current->fs_base);
  if (!was_in_runtime) leave_runtime();
}

void look_for_hidden_fsgsbase(uintptr_t hub_fs_base) noexcept {
  if (rt::has_fsgsbase() || rt::kernel_forgets_fs_base || !can_read_fs_base()) return;
  if (!rt::make_unreachable_fs_base(hub_fs_base)) return;
  rt::fsgsbase_usable = true;
  rt::kernel_forgets_fs_base = true;
}

}  // namespace tendril::trap
