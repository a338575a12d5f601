#include "interpose/kernel/filtered_call.hpp"

#include <linux/bpf_common.h>
#include <linux/seccomp.h>

#include <iterator>

#include "interpose/kernel/default_action.hpp"
#include "interpose/kernel/green_thread.hpp"
#include "interpose/kernel/restart.hpp"
#include "interpose/kernel/signal_state.hpp"
#include "interpose/kernel/syscalls.hpp"

namespace tendril::kernel {
namespace {

constexpr int kSysSeccomp = 1;  // si_code

// The data of a marked SIGSYS, which comes as its si_errno.
constexpr int kMark = 0xf1be;
constexpr uint32_t kMarkedTrap = SECCOMP_RET_TRAP | kMark;

constexpr bool kills_thread(uint32_t verdict) noexcept {
  return (verdict & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_KILL_THREAD;
}

// For verdicts that the filter computes: looks at what is in A first.
constexpr sock_filter kComputedVerdict[] = {
    {BPF_MISC | BPF_TAX, 0, 0, 0},
    {BPF_ALU | BPF_AND | BPF_K, 0, 0, SECCOMP_RET_ACTION_FULL},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SECCOMP_RET_KILL_THREAD},
    {BPF_RET | BPF_K, 0, 0, kMarkedTrap},
    {BPF_MISC | BPF_TXA, 0, 0, 0},
    {BPF_RET | BPF_A, 0, 0, 0},
};
static_assert(std::size(kComputedVerdict) == kRoomForMarks);

// The last one takes the process with it, and leaves a core, as the Linux kernel has it.
[[noreturn]] void end_killed_thread() noexcept {
  if (leave_threads()) {
    take_default_action(SIGSYS);
    sys_exit_group(SIGSYS);
  }
  end_thread();
}

// The Linux kernel forces it: who does not take it takes the process with it.
void force(const siginfo_t& info, const GreenThread& thread) noexcept {
  const bool taken = (thread.blocked & signal_bit(SIGSYS)) == 0 &&
                     signals().action(SIGSYS).handler != reinterpret_cast<void*>(SIG_IGN);
  if (!taken) take_default_action(SIGSYS);
  signals().post(info, thread.tid);
}

}  // namespace

void mark_instead_of_killing(sock_fprog& program) noexcept {
  const unsigned short length = program.len;
  const bool has_room = length + kRoomForMarks <= BPF_MAXINSNS;
  for (unsigned short at = 0; at < length; ++at) {
    sock_filter& instruction = program.filter[at];
    if (instruction.code == (BPF_RET | BPF_K) && kills_thread(instruction.k)) {
      instruction.k = kMarkedTrap;
    } else if (instruction.code == (BPF_RET | BPF_A) && has_room) {
      instruction = {BPF_JMP | BPF_JA, 0, 0, static_cast<uint32_t>(length - at - 1)};
      if (program.len != length) continue;
      for (const sock_filter& added : kComputedVerdict) program.filter[program.len++] = added;
    }
  }
}

void raise_filtered_call(const siginfo_t& info) noexcept {
  if (info.si_errno == kMark) end_killed_thread();
  force(info, *current_thread());
}

void note_filtered_call(const siginfo_t& info) noexcept {
  GreenThread* thread = current_thread();
  if (thread == nullptr) take_default_action(SIGSYS);  // a hub's own
  thread->filtered = {true, info.si_errno, info.si_syscall, info.si_arch};
}

long settle_filtered_call(const Call& call) noexcept {
  GreenThread* thread = current_thread();
  const FilteredCall filtered = thread->filtered;
  thread->filtered.happened = false;
  if (filtered.error == kMark) end_killed_thread();
  siginfo_t info{};
  info.si_signo = SIGSYS;
  info.si_code = kSysSeccomp;
  info.si_errno = filtered.error;
  info.si_call_addr = reinterpret_cast<void*>(thread->call_site.ip);
  info.si_syscall = filtered.number;
  info.si_arch = filtered.architecture;
  force(info, *thread);
  return call.number;  // what is in the register that the handler may give a result in
}

long leave_filtered_call_to_trap() noexcept {
  GreenThread* thread = current_thread();
  if (thread->filtered.error == kMark) end_killed_thread();
  thread->filtered.happened = false;
  return -kRestartAlways;
}

}  // namespace tendril::kernel
